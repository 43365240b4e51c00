// Loaded into an agent with `node --import`: its wall clock is off by SOAK_CLOCK_MS, all the time. The monotonic clock and
// the timers are those of the machine, as on a machine whose clock is wrong.
const offMs = Number(process.env['SOAK_CLOCK_MS'] ?? '0');
const RealDate = globalThis.Date;
const now = () => RealDate.now() + offMs;

// A proxy and no subclass: dates that Node itself makes stay instances of it.
globalThis.Date = new Proxy(RealDate, {
  apply: () => new RealDate(now()).toString(),
  construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
  get: (target, name, receiver) => (name === 'now' ? now : Reflect.get(target, name, receiver)),
});
RealDate.prototype.constructor = globalThis.Date;

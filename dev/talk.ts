import { connect } from 'node:net';

/** Whether a server listens on this port of 127.0.0.1. */
export async function accepts(port: number): Promise<boolean> {
  return await talk(port, Buffer.alloc(0), () => true);
}

/** Whether AMQP 0-9-1 is answered: an open port may belong to a broker that is still starting. */
export async function speaksAmqp(port: number): Promise<boolean> {
  return await talk(port, Buffer.from('AMQP\0\0\x09\x01', 'latin1'), (answer) => answer[0] === 1);
}

async function talk(port: number, request: Buffer, isExpected: (answer: Buffer) => boolean): Promise<boolean> {
  return await new Promise((done) => {
    const socket = connect({ port, host: '127.0.0.1', timeout: 2000 });
    const end = (result: boolean): void => {
      socket.destroy();
      done(result);
    };
    socket.once('connect', () => (request.length === 0 ? end(true) : socket.write(request)));
    socket.once('data', (answer) => end(isExpected(answer)));
    for (const event of ['error', 'timeout', 'close']) socket.once(event, () => end(false));
  });
}

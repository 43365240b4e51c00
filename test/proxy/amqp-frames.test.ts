import assert from 'node:assert/strict';
import {
  closeFrame,
  METHOD_ID,
  methodIn,
  passwordIn,
  readStartOk,
  startFrame,
  startOkFrame,
} from '../../src/proxy/amqp-frames.ts';
import { FrameCursor } from '../../src/proxy/frame-cursor.ts';

const short = (text: string): Buffer => Buffer.concat([Buffer.of(Buffer.byteLength(text)), Buffer.from(text)]);
const int32 = (value: number): Buffer =>
  Buffer.from([value >>> 24, value >>> 16, value >>> 8, value].map((n) => n & 255));
const long = (bytes: string | Buffer): Buffer => Buffer.concat([int32(Buffer.byteLength(bytes)), Buffer.from(bytes)]);

function frame(type: number, channel: number, payload: Buffer): Buffer {
  return Buffer.concat([Buffer.of(type, channel >> 8, channel & 255), int32(payload.length), payload, Buffer.of(0xce)]);
}

function startOk(mechanism: string, response: string | Buffer, properties = 'any bytes'): Buffer {
  const fields = [long(properties), short(mechanism), long(response), short('en_US')];
  return frame(1, 0, Buffer.concat([int32(METHOD_ID.startOk), ...fields]));
}

describe('the frames that a proxy reads and writes', () => {
  it('connection.start-ok: mechanism and response are replaced, the rest stays', () => {
    const login = { username: 'taskcluster-x-1', password: 'pässword' };
    for (const given of [startOk('EXTERNAL', ''), startOk('AMQPLAIN', 'x'), startOk('PLAIN', '\0me\0mine')]) {
      const read = readStartOk(given);
      assert.ok(read !== undefined);
      assert.deepEqual(startOkFrame(read, login), startOk('PLAIN', '\0taskcluster-x-1\0pässword'));
    }
  });

  it('connection.start-ok with fields that end too early is none', () => {
    const whole = startOk('PLAIN', '\0me\0mine');
    const payload = whole.subarray(7, -1);
    for (let length = 0; length < payload.length; length += 1) {
      assert.equal(readStartOk(frame(1, 0, payload.subarray(0, length))), undefined, `${length} bytes`);
    }
    assert.equal(readStartOk(frame(1, 1, payload)), undefined, 'another channel');
    assert.equal(readStartOk(frame(2, 0, payload)), undefined, 'no method');
  });

  it('the password of PLAIN and of AMQPLAIN', () => {
    const of = (mechanism: string, response: Buffer): string | undefined =>
      passwordIn({ mechanism, response })?.toString();
    const table = (...names: string[]): Buffer =>
      Buffer.concat(names.flatMap((name) => [short(name), Buffer.from('S'), long(`the ${name}`)]));
    assert.equal(of('PLAIN', Buffer.from('\0me\0mine')), 'mine');
    assert.equal(of('PLAIN', Buffer.from('other\0me\0mine')), 'mine');
    assert.equal(of('PLAIN', Buffer.from('\0me')), undefined);
    assert.equal(of('PLAIN', Buffer.from('')), undefined);
    assert.equal(of('AMQPLAIN', table('LOGIN', 'PASSWORD')), 'the PASSWORD');
    assert.equal(of('AMQPLAIN', table('LOGIN')), undefined);
    assert.equal(of('AMQPLAIN', table('PASSWORD').subarray(0, -1)), undefined);
    assert.equal(of('EXTERNAL', Buffer.from('mine')), undefined);
  });

  it('connection.close has a text of 255 bytes at most, cut between characters', () => {
    assert.equal(methodIn(startFrame()), METHOD_ID.start);
    const close = closeFrame(320, 'ä'.repeat(300));
    assert.equal(methodIn(close), METHOD_ID.close);
    const text = close.subarray(14, 14 + (close[13] ?? 0)).toString();
    assert.match(text, /^CONNECTION_FORCED - ä+$/);
    assert.equal(close.length, 7 + 4 + 2 + 1 + Buffer.byteLength(text) + 4 + 1);
  });
});

describe('the place between two frames', () => {
  const frames = [
    frame(8, 0, Buffer.alloc(0)),
    frame(1, 1, Buffer.alloc(4)),
    frame(3, 1, Buffer.alloc(0)),
    frame(2, 1, Buffer.alloc(14)),
    frame(3, 1, Buffer.alloc(70_000, 0xce)),
    frame(1, 0, Buffer.concat([int32(METHOD_ID.tune), Buffer.alloc(8)])),
    frame(8, 0, Buffer.alloc(0)),
  ];
  const stream = Buffer.concat(frames);
  const ends = new Set<number>([0]);
  for (const { length } of frames) ends.add([...ends].at(-1)! + length);

  it('is found wherever the bytes are cut', () => {
    for (const size of [1, 2, 3, 7, 8, 10, 11, 12, 64, 4096, stream.length]) {
      const cursor = new FrameCursor();
      for (let at = 0; at < stream.length; at += size) {
        assert.equal(cursor.isBetweenFrames, ends.has(at), `pieces of ${size} bytes, at ${at}`);
        cursor.push(stream.subarray(at, at + size));
      }
      assert.ok(cursor.isBetweenFrames && !cursor.hasClose, `pieces of ${size} bytes`);
    }
  });

  it('is where a frame that has begun ends', () => {
    for (let cut = 1; cut < 200; cut += 1) {
      const cursor = new FrameCursor();
      cursor.push(stream.subarray(0, cut));
      let at = cut;
      while (!cursor.isBetweenFrames) at += cursor.take(stream.subarray(at, at + 5));
      assert.ok(ends.has(at), `cut at ${cut}, went to ${at}`);
    }
  });

  it('knows that the connection was closed', () => {
    for (const method of [METHOD_ID.close, METHOD_ID.closeOk]) {
      const close = frame(1, 0, Buffer.concat([int32(method), Buffer.alloc(9)]));
      for (const size of [1, 5, 1000]) {
        const cursor = new FrameCursor();
        for (let at = 0; at < close.length; at += size) cursor.push(close.subarray(at, at + size));
        assert.ok(cursor.hasClose);
      }
    }
    const cursor = new FrameCursor();
    cursor.push(frame(1, 1, int32(METHOD_ID.close)));
    assert.ok(!cursor.hasClose, 'a channel');
  });
});

import assert from 'node:assert/strict';
import {
  countedText,
  countText,
  distanceText,
  dueText,
  lastingText,
  localTime,
  rateText,
  secondsText,
  shortCount,
  sizeText,
  spanText,
  UNKNOWN,
  utcText,
  withLocalTimes,
} from '../../src/page/page-formats.ts';

const NOW = Date.parse('2026-11-24T12:00:00.000Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

describe('texts of the page', () => {
  it('show what is unknown as unknown, and never as 0', () => {
    for (const text of [countText, sizeText, rateText, secondsText]) {
      assert.equal(text(undefined), UNKNOWN);
      assert.equal(text(null), UNKNOWN);
      assert.notEqual(text(0), UNKNOWN);
    }
  });

  it('count', () => {
    assert.deepEqual([0, 999, 4200, 1_000_000].map(countText), ['0', '999', '4,200', '1,000,000']);
    assert.equal(countedText(1, 'queue'), '1 queue');
    assert.equal(countedText(0, 'queue'), '0 queues');
    assert.equal(countedText(4200, 'more', 'more'), '4,200 more');
    const short = [0, 940, 4230, 9990, 42_300, 999_499, 999_500, 1_260_000].map(shortCount);
    assert.deepEqual(short, ['0', '940', '4.2k', '10k', '42k', '999k', '1M', '1.3M']);
  });

  it('say sizes and rates', () => {
    assert.deepEqual([0, 512, 1536, 1_288_490_188].map(sizeText), ['0 bytes', '512 bytes', '1.5 KiB', '1.2 GiB']);
    assert.deepEqual([120.4, 5.25, 0.04, -0.04, -5, 1200].map(rateText), ['+120', '+5.3', '0', '0', '−5', '+1,200']);
  });

  it('say spans of time, with the smaller unit where the larger is small', () => {
    const spans = [0, 900, 45_000, 2 * MINUTE + 5000, 14 * MINUTE + 50_000, HOUR, 3 * HOUR + 58 * MINUTE, 77 * HOUR];
    assert.deepEqual(spans.map(spanText), [
      '0 s',
      '0 s',
      '45 s',
      '2 min 5 s',
      '14 min',
      '1 h',
      '3 h 58 min',
      '3 d 5 h',
    ]);
    assert.deepEqual([17 * HOUR + MINUTE, 12 * 24 * HOUR + HOUR].map(spanText), ['17 h', '12 d']);
    const seconds = [0, 0.0004, 0.04, 0.42, 12, 125];
    assert.deepEqual(seconds.map(secondsText), ['0 ms', '<1 ms', '40 ms', '0.4 s', '12 s', '2 min 5 s']);
  });

  it('say where an instant lies', () => {
    assert.equal(distanceText(NOW + 14 * MINUTE, NOW), 'in 14 min');
    assert.equal(distanceText(NOW - 4 * MINUTE, NOW), '4 min ago');
    assert.equal(distanceText(NOW + 900, NOW), 'now');
    assert.equal(dueText(NOW + 14 * MINUTE, NOW), 'in 14 min');
    assert.equal(dueText(NOW - 4 * MINUTE, NOW), 'due');
    assert.equal(lastingText(NOW - 4 * MINUTE, NOW), 'for 4 min');
  });

  it("show times in the viewer's zone, with the date where it would be mistaken", () => {
    const at = (ms: number, style?: 'time' | 'minute' | 'full') => localTime(ms, NOW, style, 'Asia/Tokyo');
    assert.equal(at(NOW + 5 * MINUTE), '21:05:00');
    assert.equal(at(NOW + 5 * HOUR), '2026-11-25 02:00:00');
    assert.equal(at(NOW + 5 * HOUR, 'minute'), '02:00');
    assert.equal(at(NOW + 30 * HOUR, 'minute'), '2026-11-26 03:00');
    assert.equal(at(NOW, 'full'), '2026-11-24 21:00:00');
    assert.equal(localTime(NOW - 12 * HOUR, NOW, 'time', 'UTC'), '00:00:00');
    const said = withLocalTimes('it expires at 2026-11-24T12:05:00.000Z, not 24T12', NOW, 'Asia/Tokyo');
    assert.equal(said, 'it expires at 21:05:00, not 24T12');
    assert.equal(utcText(NOW), '2026-11-24 12:00:00 UTC');
  });
});

import * as z from 'zod';
import { type NamePattern, readNamePattern } from '../util/name-pattern.ts';
import { findShadow } from './rule-shadows.ts';
import { countForm, namePatternForm } from './setting-forms.ts';

const size = countForm.nullable();

/** What is done about a queue that has passed its threshold for deletion, once its owner was warned. */
export const OVERGROWN_ACTIONS = ['delete', 'purge', 'leave'] as const;

/** One of {@link OVERGROWN_ACTIONS}. */
export type OvergrownAction = (typeof OVERGROWN_ACTIONS)[number];

/** A rule of the setting `queues`. What it leaves out is as in the settings of the same names. */
export const queueRule = z.strictObject(
  {
    match: namePatternForm,
    warnAtMessages: countForm.exactOptional(),
    deleteAtMessages: countForm.exactOptional(),
    warnAtBytes: size.exactOptional(),
    deleteAtBytes: size.exactOptional(),
    ownersMayRaiseTo: z
      .strictObject({ deleteAtMessages: countForm.exactOptional(), deleteAtBytes: countForm.exactOptional() })
      .exactOptional(),
    idleExpirySeconds: countForm.nullable().exactOptional(),
    onOvergrown: z.enum(OVERGROWN_ACTIONS, { error: 'must be delete, purge or leave' }).exactOptional(),
  },
  { error: 'must be a map with a match' },
);

/** What queues may hold. They pass a threshold when they pass it in messages or in bytes. */
export interface QueueThresholds {
  readonly warnAtMessages: number;
  /** More than `warnAtMessages`. */
  readonly deleteAtMessages: number;
  /** Null, as `deleteAtBytes`: bytes are not watched. */
  readonly warnAtBytes: number | null;
  /** More than `warnAtBytes`. */
  readonly deleteAtBytes: number | null;
}

/** A rule about queues, complete. */
export interface QueueRule extends QueueThresholds {
  /** Over the whole name of a queue, or of its namespace. */
  readonly match: NamePattern;
  readonly onOvergrown: OvergrownAction;
  /** After how long without consumers and change its owner is notified, and after as long again it is deleted; null: never. */
  readonly idleExpirySeconds: number | null;
  /** How far a claim may raise the thresholds for deletion; undefined: not at all. */
  readonly ownersMayRaiseTo?: RaiseBounds;
  /** As `queueBackstopMessages` and `queueBackstopBytes`, for the queues of this rule. */
  readonly backstopMessages: number | null;
  readonly backstopBytes: number | null;
}

/** The highest thresholds for deletion that a claim may ask for. */
export interface RaiseBounds {
  readonly deleteAtMessages?: number;
  readonly deleteAtBytes?: number;
}

type QueueRuleSettings = z.infer<typeof queueRule>;

type BackstopSetting = number | 'auto' | null;

interface RuleDefaults extends QueueThresholds {
  readonly queueBackstopMessages: BackstopSetting;
  readonly queueBackstopBytes: BackstopSetting;
}

/** A rule with the settings in place of what it leaves out. */
export function completeRule(rule: QueueRuleSettings, settings: RuleDefaults): QueueRule {
  const { warnAtMessages, deleteAtMessages, warnAtBytes, deleteAtBytes } = settings;
  const given = {
    warnAtMessages,
    deleteAtMessages,
    warnAtBytes,
    deleteAtBytes,
    onOvergrown: 'delete',
    idleExpirySeconds: null,
    ...rule,
  } as const;
  const isLeft = given.onOvergrown === 'leave';
  const raised = rule.ownersMayRaiseTo;
  return Object.freeze({
    ...given,
    match: readNamePattern(rule.match),
    // RabbitMQ would drop messages of a queue that is to be left alone.
    backstopMessages: isLeft
      ? null
      : backstopOf(settings.queueBackstopMessages, raised?.deleteAtMessages ?? given.deleteAtMessages),
    backstopBytes: isLeft
      ? null
      : backstopOf(settings.queueBackstopBytes, raised?.deleteAtBytes ?? given.deleteAtBytes),
  });
}

/** What `auto` multiplies a threshold for deletion by: a running agent deletes a queue long before. */
const BACKSTOP_FACTOR = 10;

/** The backstop for queues that are deleted at this many messages or bytes; null: none. */
export function backstopOf(setting: BackstopSetting, deleteAt: number | null): number | null {
  if (setting !== 'auto') return setting;
  return deleteAt === null ? null : BACKSTOP_FACTOR * deleteAt;
}

/** The thresholds of the settings; undefined where one of them is malformed. */
function thresholdsOf(settings: Partial<QueueThresholds>): QueueThresholds | undefined {
  const { warnAtMessages, deleteAtMessages, warnAtBytes, deleteAtBytes } = settings;
  return warnAtMessages === undefined ||
    deleteAtMessages === undefined ||
    warnAtBytes === undefined ||
    deleteAtBytes === undefined
    ? undefined
    : { warnAtMessages, deleteAtMessages, warnAtBytes, deleteAtBytes };
}

interface RuleSettings extends Partial<QueueThresholds> {
  readonly queues?: readonly QueueRuleSettings[];
  readonly namespacePrefix?: string;
  readonly queueBackstopMessages?: BackstopSetting;
  readonly queueBackstopBytes?: BackstopSetting;
}

/** One sentence for each fault of the rules. */
export function queueRuleFaults(settings: RuleSettings): string[] {
  const { queues = [], namespacePrefix, queueBackstopMessages = 'auto', queueBackstopBytes = 'auto' } = settings;
  const thresholds = thresholdsOf(settings);
  return queues.flatMap((rule, index) => {
    const name = `queues.${index}`;
    const complete = thresholds && completeRule(rule, { ...thresholds, queueBackstopMessages, queueBackstopBytes });
    return [
      ...(complete === undefined ? [] : thresholdFaults(name, complete, settings)),
      ...(namespacePrefix === undefined ? [] : matchFaults(name, queues, index, namespacePrefix)),
    ];
  });
}

function thresholdFaults(
  name: string,
  { warnAtMessages, deleteAtMessages, warnAtBytes, deleteAtBytes, onOvergrown, ownersMayRaiseTo: raised }: QueueRule,
  { queueBackstopMessages, queueBackstopBytes }: RuleSettings,
): string[] {
  const faults: string[] = [];
  if (warnAtMessages >= deleteAtMessages) {
    faults.push(
      `The setting ${name}.warnAtMessages (${warnAtMessages}) must be less than its deleteAtMessages (${deleteAtMessages}): owners are warned first.`,
    );
  }
  if ((warnAtBytes === null) !== (deleteAtBytes === null)) {
    faults.push(`The settings ${name}.warnAtBytes and ${name}.deleteAtBytes must both be numbers, or both null.`);
  } else if (warnAtBytes !== null && deleteAtBytes !== null && warnAtBytes >= deleteAtBytes) {
    faults.push(
      `The setting ${name}.warnAtBytes (${warnAtBytes}) must be less than its deleteAtBytes (${deleteAtBytes}): owners are warned first.`,
    );
  }
  for (const [limit, own] of Object.entries({ deleteAtMessages, deleteAtBytes } as const)) {
    const bound = raised?.[limit as keyof RaiseBounds];
    if (bound === undefined || (own !== null && bound >= own)) continue;
    faults.push(
      own === null
        ? `The setting ${name}.ownersMayRaiseTo.${limit} has no effect, as its ${limit} is null: remove it.`
        : `The setting ${name}.ownersMayRaiseTo.${limit} (${bound}) must not be less than its ${limit} (${own}).`,
    );
  }
  if (onOvergrown === 'leave') return faults;
  const mostMessages = Math.max(raised?.deleteAtMessages ?? 0, deleteAtMessages);
  const mostBytes = deleteAtBytes === null ? null : Math.max(raised?.deleteAtBytes ?? 0, deleteAtBytes);
  if (typeof queueBackstopMessages === 'number' && queueBackstopMessages < 2 * mostMessages) {
    faults.push(
      `The setting queueBackstopMessages must be at least twice ${name}.deleteAtMessages, also as owners may raise it (${mostMessages}), or auto: it drops messages without notice.`,
    );
  }
  if (typeof queueBackstopBytes === 'number' && mostBytes !== null && queueBackstopBytes < 2 * mostBytes) {
    faults.push(
      `The setting queueBackstopBytes must be at least twice ${name}.deleteAtBytes, also as owners may raise it (${mostBytes}), or auto: it drops messages without notice.`,
    );
  }
  return faults;
}

function matchFaults(
  name: string,
  rules: readonly QueueRuleSettings[],
  index: number,
  namespacePrefix: string,
): string[] {
  const shadow = findShadow(
    rules.map(({ match }) => match),
    index,
    namespacePrefix,
  );
  switch (shadow) {
    case undefined:
      return [];
    case 'no-queue':
      return [
        `The setting ${name}.match (${rules[index]?.match}) can match no queue: give a pattern for whole names such as queue/${namespacePrefix}builds/jobs, or for namespaces such as ${namespacePrefix}builds.`,
      ];
    default:
      return [
        `The setting ${name} can never match: all queues that it is for match queues.${shadow} first. Put it before that rule, or remove it.`,
      ];
  }
}

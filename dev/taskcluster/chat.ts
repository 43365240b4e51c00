import * as z from 'zod';
import { ApiError } from './api-error.ts';

/** What the notify service accepts for Matrix; anything else is an InputValidationError. It has no limits of its own. */
export const matrixSchema = z.strictObject({
  roomId: z.string(),
  body: z.string(),
  format: z.string().optional(),
  formattedBody: z.string().optional(),
  msgtype: z.enum(['m.notice', 'm.text', 'm.emote']).default('m.notice'),
});

/** What it accepts for Slack. */
export const slackSchema = z.strictObject({
  channelId: z.string(),
  text: z.string(),
  blocks: z.array(z.unknown()).optional(),
  attachments: z.array(z.unknown()).optional(),
  unfurlLinks: z.boolean().default(false),
  unfurlMedia: z.boolean().default(false),
});

/** A message to a Matrix room. */
export type MatrixPost = z.output<typeof matrixSchema>;

/** A message to a Slack channel. */
export type SlackPost = z.output<typeof slackSchema>;

/** What homeserver and Slack permit. */
export interface ChatRules {
  /** Rooms and channels that are refused with an error. */
  readonly denylisted: readonly string[];
  /** The rooms that the service was invited to, as patterns with a `*` at the end; all when absent. */
  readonly rooms: readonly string[];
  /** Whether the service has access to Slack. */
  readonly slack: boolean;
}

const REMEMBERED = 1000;

/** An event of Matrix has 64 KiB at most. */
const MAX_EVENT_BYTES = 65_536;

/** The messages that were posted, and the decision whether to post one. */
export class ChatRooms {
  readonly matrix: MatrixPost[] = [];
  readonly slack: SlackPost[] = [];
  readonly #rules: ChatRules;
  #recent: string[] = [];

  constructor(rules: ChatRules) {
    this.#rules = rules;
  }

  /**
   * Posts to a room.
   *
   * @returns the HTTP status: 200 sent; 204 not sent, because it repeats one of the last 1000
   * @throws ApiError DenylistedAddress; InputError: the service is not in the room, or it is no room's id
   */
  postToMatrix(post: MatrixPost): 200 | 204 {
    const { roomId } = post;
    this.#refuseDenylisted('Matrix room', roomId);
    if (this.#isRepeated(post)) return 204;
    // A homeserver answers M_FORBIDDEN for an alias as for a room in which the sender is not.
    const isMember = this.#rules.rooms.some((room) => matches(room, roomId));
    if (!roomId.startsWith('!') || !isMember) {
      throw new ApiError('InputError', `The taskcluster matrix client must be invited to ${roomId}`);
    }
    // The homeserver answers M_TOO_LARGE.
    if (Buffer.byteLength(JSON.stringify(post)) > MAX_EVENT_BYTES) throw new Error('M_TOO_LARGE');
    this.#remember(post);
    this.matrix.push(post);
    return 200;
  }

  /**
   * Posts to a channel.
   *
   * @returns the HTTP status: 200 sent; 204 not sent, because it repeats one of the last 1000 or there is no Slack
   * @throws ApiError DenylistedAddress
   */
  postToSlack(post: SlackPost): 200 | 204 {
    this.#refuseDenylisted('Slack channel', post.channelId);
    if (!this.#rules.slack || this.#isRepeated(post)) return 204;
    this.#remember(post);
    this.slack.push(post);
    return 200;
  }

  #refuseDenylisted(what: string, id: string): void {
    if (this.#rules.denylisted.includes(id)) throw new ApiError('DenylistedAddress', `${what} ${id} is denylisted`);
  }

  #isRepeated(post: object): boolean {
    return this.#recent.includes(JSON.stringify(post));
  }

  #remember(post: object): void {
    this.#recent = [JSON.stringify(post), ...this.#recent].slice(0, REMEMBERED);
  }
}

function matches(pattern: string, id: string): boolean {
  return pattern.endsWith('*') ? id.startsWith(pattern.slice(0, -1)) : id === pattern;
}

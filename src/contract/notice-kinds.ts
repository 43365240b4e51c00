/**
 * The subjects of notices: a queue passed the threshold for warnings, was deleted, is small again, was purged, or passed the
 * threshold for deletion and stays; it is unused, or was deleted because it was.
 */
export const NOTICE_KINDS = [
  'queue-warning',
  'queue-deletion',
  'queue-recovered',
  'queue-purge',
  'queue-left',
  'queue-idle',
  'queue-expiry',
] as const;

/** One of {@link NOTICE_KINDS}. */
export type NoticeKind = (typeof NOTICE_KINDS)[number];

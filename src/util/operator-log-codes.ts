/** Rows of the table of log lines (log-codes.ts) about the page for operators. */
export const OPERATOR_LOG_CODES = {
  operator_page_served: {
    level: 'info',
    meaning: 'The page for operators is served; `pulse-agent page` prints its link.',
  },
  operator_token_refused: {
    level: 'warn',
    meaning:
      '`requests` for the data of the page for operators had a wrong token. Logged once a minute at most; see docs/page.md.',
  },
  page_events_consumed: { level: 'info', meaning: 'The page for operators shows the events of all agents.' },
  page_events_unavailable: {
    level: 'warn',
    meaning:
      'The page for operators shows the events of this agent only: those of others do not arrive. The agent tries again.',
  },
} as const;

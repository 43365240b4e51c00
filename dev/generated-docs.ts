import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { EXIT_OF_AGENT_ERROR } from '../src/cli/exit-codes.ts';
import { ENVIRONMENT_VARIABLES } from '../src/config/environment.ts';
import { SETTING_MEANINGS } from '../src/config/settings.ts';
import { AGENT_ERRORS, type AgentErrorCode } from '../src/util/agent-errors.ts';
import { LOG_CODES } from '../src/util/log-codes.ts';
import { asyncApiText } from './asyncapi/document.ts';
import { openApiText } from './openapi/document.ts';
import { METRIC_LABELS } from './metric-labels.ts';

const ROOT = new URL('../', import.meta.url);

/** The documents in docs/ that `npm run docs` writes, each with its new text. */
export const GENERATED_DOCUMENTS: Readonly<Record<string, () => string>> = {
  'asyncapi.yaml': asyncApiText,
  'openapi.yaml': openApiText,
  'configuration.md': () => withTables('configuration.md', { settings: settingsTable(), variables: variablesTable() }),
  'monitoring.md': () =>
    withTables('monitoring.md', {
      'metric-labels': metricLabelsTable(),
      'alert-rules': alertRulesTable(),
      'log-codes': logCodesTable(),
      'agent-errors': agentErrorsTable(),
    }),
};

/** The URL of a document in docs/. */
export function documentUrl(name: string): URL {
  return new URL(`docs/${name}`, ROOT);
}

/** The document with each table between `<!-- marker -->` and `<!-- /marker -->`. */
export function withTables(name: string, tables: Readonly<Record<string, string>>): string {
  let text = readFileSync(documentUrl(name), 'utf8');
  for (const [marker, table] of Object.entries(tables)) {
    const [begin, end] = [`<!-- ${marker} -->`, `<!-- /${marker} -->`];
    const [from, to] = [text.indexOf(begin), text.indexOf(end)];
    if (from === -1 || to < from) throw new Error(`docs/${name} lacks ${begin} or ${end}.`);
    text = `${text.slice(0, from + begin.length)}\n${table}\n${text.slice(to)}`;
  }
  return text;
}

function settingsTable(): string {
  const defaults: Record<string, unknown> = parse(readFileSync(new URL('config/default.yml', ROOT), 'utf8'));
  return markdownTable(
    ['setting', 'default', 'unit', 'meaning'],
    [...SETTING_MEANINGS].map(([name, { unit = '', description }]) => {
      return [`\`${name}\``, defaultText(defaults[name]), unit, description];
    }),
  );
}

function defaultText(value: unknown): string {
  if (value === null) return 'none';
  return `\`${typeof value === 'string' ? value || '""' : JSON.stringify(value)}\``;
}

function variablesTable(): string {
  return markdownTable(
    ['variable', 'file', 'meaning'],
    ENVIRONMENT_VARIABLES.map(({ name, file, required, description }) => {
      return [`\`${name}\``, file ? 'yes' : 'no', required ? `${description}; required` : description];
    }),
  );
}

function metricLabelsTable(): string {
  return markdownTable(
    ['label', 'of the metrics', 'values', 'meaning'],
    METRIC_LABELS.map(({ label, metrics, values = [], meaning }) => {
      const names = metrics.map((name) => `\`pulse_agent_${name}\``);
      return [`\`${label}\``, names.join(', '), values.map((value) => `\`${value}\``).join(', ') || 'open', meaning];
    }),
  );
}

interface AlertRule {
  readonly alert?: string;
  readonly labels: { readonly severity?: string };
  readonly annotations: { readonly summary: string; readonly runbook: string };
}

function alertRulesTable(): string {
  const text = readFileSync(new URL('config/monitoring/prometheus-alerts.yml', ROOT), 'utf8');
  const { groups } = parse(text) as { groups: { rules: AlertRule[] }[] };
  return markdownTable(
    ['alert', 'severity', 'summary', 'runbook'],
    groups
      .flatMap(({ rules }) => rules)
      .flatMap(({ alert, labels: { severity = '' }, annotations }) => {
        if (alert === undefined) return [];
        const { summary, runbook } = annotations;
        const [, anchor = ''] = runbook.split('#');
        return [[`\`${alert}\``, severity, plainSummary(summary), `[recover](recover.md#${anchor})`]];
      }),
  );
}

/** Without what Prometheus fills in. */
function plainSummary(summary: string): string {
  return summary.replaceAll(/\{\{ \$[\w.]+ \}\}/g, '…');
}

function logCodesTable(): string {
  return markdownTable(
    ['code', 'level', 'meaning'],
    Object.entries(LOG_CODES)
      .toSorted(([a], [b]) => a.localeCompare(b))
      .map(([code, { level, meaning }]) => [`\`${code}\``, level, meaning]),
  );
}

function agentErrorsTable(): string {
  return markdownTable(
    ['code', 'meaning', 'what to do', 'error to clients', 'exit code'],
    Object.entries(AGENT_ERRORS).map(([code, { meaning, remedy, wire }]) => {
      return [`\`${code}\``, meaning, remedy, `\`${wire}\``, `${EXIT_OF_AGENT_ERROR[code as AgentErrorCode]}`];
    }),
  );
}

function markdownTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  return [tableLine(titles), `|${'---|'.repeat(titles.length)}`, ...rows.map(tableLine)].join('\n');
}

function tableLine(cells: readonly string[]): string {
  return `|${cells.map((cell) => (cell === '' ? ' ' : ` ${cell.replaceAll('|', '\\|')} `)).join('|')}|`;
}

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parser } from '@prometheus-io/lezer-promql';
import { parse as parseYaml } from 'yaml';
import { METRIC_LABELS } from '../../dev/metric-labels.ts';
import type { Agent } from '../../src/agent/agent.ts';
import { TEAM, teamNamespace, useInstallation } from '../support/agent.ts';
import { fetchFrom, scrape, untilSample } from '../support/agent-http.ts';
import { evaluateRules, promtoolOrSkip } from '../support/prometheus-rules.ts';
import { useBlocks } from './blocks.ts';
import { anchorsOf, readDocument, rowsByName, section } from './documents.ts';

interface Rule {
  /** Absent for what is only recorded. */
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string; readonly runbook: string };
}

interface Panel {
  readonly title: string;
  readonly gridPos: Readonly<Record<'x' | 'y' | 'w' | 'h', number>>;
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
}

const read = (name: string): string =>
  readFileSync(new URL(`../../config/monitoring/${name}`, import.meta.url), 'utf8');
const allRules = (parseYaml(read('prometheus-alerts.yml')) as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
);
const rules = allRules.filter(({ alert }) => alert !== undefined);
/** What the rules record, with its labels. */
const RECORDED: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  allRules.flatMap(({ record }) => (record === undefined ? [] : [[record, new Set(['cause'])]])),
);
const { panels } = JSON.parse(read('grafana-dashboard.json')) as { panels: Panel[] };
const expressions = [
  ...allRules.map(({ alert, record, labels, expr }) => {
    return { where: alert ?? `${record} ${JSON.stringify(labels)}`, expr };
  }),
  ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ where: title, expr }))),
];

/** Labels that Prometheus adds to what it scrapes. */
const OF_PROMETHEUS = ['instance', 'job', 'le'];

/** A PromQL expression, taken apart. */
interface Query {
  readonly metrics: readonly string[];
  /** Each matcher with the metric that it is about. */
  readonly matchers: readonly { readonly metric: string; readonly label: string; readonly values: readonly string[] }[];
  /** Labels of groupings and of matchings. */
  readonly groupings: readonly string[];
}

function parseQuery(expr: string): Query {
  // Grafana puts a duration there.
  const text = expr.replaceAll('$__rate_interval', '5m');
  const metrics: string[] = [];
  const matchers: { metric: string; label: string; values: string[] }[] = [];
  const groupings: string[] = [];
  parser.parse(text).iterate({
    enter(node) {
      const words = text.slice(node.from, node.to);
      if (node.type.isError) throw new Error(`No PromQL at ${node.from}: ${text}`);
      if (node.name === 'Identifier') metrics.push(words);
      if (node.name === 'UnquotedLabelMatcher') {
        const [, label = '', value = ''] = /^(\w+)\s*[=!~]+\s*"(.*)"$/.exec(words) ?? [];
        matchers.push({ metric: metrics.at(-1) ?? '', label, values: value.split('|') });
      }
      if (node.name === 'GroupingLabels') groupings.push(...(words.match(/\w+/g) ?? []));
    },
  });
  return { metrics, matchers, groupings };
}

/** The values that the documentation gives for a label of a metric of the agent; undefined where they are open. */
function documentedValues(metric: string, label: string): readonly string[] | undefined {
  const name = metric.replace(/^pulse_agent_/, '').replace(/_(?:bucket|sum|count)$/, '');
  const known = METRIC_LABELS.filter((one) => one.label === label && one.metrics.includes(name));
  if (RECORDED.has(metric) || !metric.startsWith('pulse_agent_')) return undefined;
  assert.equal(known.length, 1, `the documentation says nothing of the label ${label} of ${metric}`);
  return known[0]?.values;
}

describe('docs/monitoring.md, the dashboard and the alert rules', () => {
  const monitoring = useBlocks('docs/monitoring.md');
  const installation = useInstallation({ settings: { httpPort: 0 } });
  /** The labels of every metric of a real agent, by the name of its samples. */
  let labelsOf: ReadonlyMap<string, ReadonlySet<string>>;
  let scraped: string;

  before('scrape an agent after it has served requests and run each job', async function () {
    this.timeout(120_000);
    const { agent } = installation();
    const client = await installation().rpc(TEAM);
    await client.request('ping', {});
    await client.request('claim-namespace', { namespace: teamNamespace() });
    for (const job of ['rotate-namespaces', 'expire-namespaces', 'reconcile-broker', 'survey-queues']) {
      const sample = `pulse_agent_job_last_success_timestamp_seconds{job_name="${job}"}`;
      await untilSample(agent, sample, (value) => value !== undefined);
    }
    await untilSample(agent, 'pulse_agent_broker_events_total{type="user.created"}', (value) => (value ?? 0) > 0);
    await untilEveryGauge(agent);
    scraped = (await fetchFrom(agent, '/metrics')).body;
    const found = new Map<string, Set<string>>();
    for (const line of scraped.split('\n')) {
      const [, name, labels = ''] = /^([a-z]\w*)(?:\{(.*)\})? \S+$/.exec(line) ?? [];
      if (name === undefined) continue;
      const known = found.get(name) ?? new Set();
      for (const [, label = ''] of labels.matchAll(/(\w+)="[^"]*"/g)) known.add(label);
      found.set(name, known);
    }
    labelsOf = found;
  });

  /** The labels of a metric, or of what the rules record. */
  const labelsOfMetric = (metric: string): ReadonlySet<string> => {
    const labels = labelsOf.get(metric) ?? RECORDED.get(metric);
    assert.ok(labels !== undefined, `there is no ${metric}`);
    return labels;
  };

  for (const { where, expr } of expressions) {
    it(`${where}: asks for metrics and labels that exist`, () => {
      const { metrics, matchers, groupings } = parseQuery(expr);
      assert.ok(metrics.length > 0);
      const labels = new Set([...OF_PROMETHEUS, ...metrics.flatMap((metric) => [...labelsOfMetric(metric)])]);
      for (const label of groupings) assert.ok(labels.has(label), `there is no label ${label}`);
      for (const { metric, label, values } of matchers) {
        assert.ok(labelsOfMetric(metric).has(label), `${metric} has no label ${label}`);
        const closed = documentedValues(metric, label);
        if (closed !== undefined) for (const value of values) assert.ok(closed.includes(value), value);
      }
    });
  }

  it('parses what is PromQL, and refuses what is not', () => {
    assert.deepEqual(parseQuery('sum by (a) (rate(b{c=~"d|e"}[5m]))'), {
      metrics: ['b'],
      matchers: [{ metric: 'b', label: 'c', values: ['d', 'e'] }],
      groupings: ['a'],
    });
    assert.throws(() => parseQuery('sum by (a (b)'), /No PromQL/);
  });

  it('alerts have names of their own, a severity, and say what to do', () => {
    assert.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length);
    assert.ok(rules.length > 30);
    for (const { alert, labels, annotations } of rules) {
      assert.match(labels.severity, /^(critical|warning)$/, alert);
      assert.match(annotations.summary, /^[A-Z].*\.$/, alert);
      assert.match(annotations.description, /^[A-Z/].*\.$/, alert);
      const [path = '', anchor = ''] = annotations.runbook.split('#');
      assert.equal(path, 'docs/recover.md', alert);
      assert.ok(anchorsOf(path).has(anchor), annotations.runbook);
    }
  });

  it('panels lie beside one another, and show labels that their metrics have', () => {
    const taken = new Set<string>();
    for (const { title, gridPos, targets } of panels) {
      const place = `${gridPos.x},${gridPos.y}`;
      assert.ok(!taken.has(place), title);
      taken.add(place);
      for (const { expr, legendFormat } of targets) {
        const { metrics } = parseQuery(expr);
        const labels = new Set([...OF_PROMETHEUS, ...metrics.flatMap((metric) => [...labelsOfMetric(metric)])]);
        for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) assert.ok(labels.has(label), title);
      }
    }
  });

  it('the configuration of Prometheus names files that exist', () => {
    const { rule_files: files } = parseYaml(monitoring.take('# prometheus.yml').text) as { rule_files: string[] };
    for (const file of files) assert.ok(existsSync(join('config/monitoring', file)), file);
  });

  it('the documentation has every metric of the agent, with its labels, and no other', () => {
    const rows = rowsByName(section(readDocument('monitoring.md'), '## Metrics'));
    const own = [...scraped.matchAll(/^# TYPE (pulse_agent_\w+) (\w+)$/gm)].map(([, name = '', type = '']) => ({
      name,
      type,
    }));
    assert.deepEqual([...rows.keys()].toSorted(), own.map(({ name }) => name).toSorted());
    for (const { name, type } of own) {
      const labels = labelsOf.get(type === 'histogram' ? `${name}_count` : name) ?? new Set();
      const shown = [...(rows.get(name)?.[1] ?? '').matchAll(/`(\w+)`/g)].map(([, label = '']) => label);
      assert.deepEqual(shown.toSorted(), [...labels].toSorted(), name);
    }
  });

  it('the documentation has the values of every label', () => {
    for (const [, metric = '', labels = ''] of scraped.matchAll(/^(pulse_agent_\w+)\{(.*)\} \S+$/gm)) {
      for (const [, label = '', value = ''] of labels.matchAll(/(\w+)="([^"]*)"/g)) {
        if (label !== 'le') assert.ok(documentedValues(metric, label)?.includes(value) ?? true, `${metric} ${value}`);
      }
    }
    const names = new Set([...scraped.matchAll(/^# TYPE pulse_agent_(\w+) /gm)].map(([, name = '']) => name));
    for (const { metrics } of METRIC_LABELS) for (const name of metrics) assert.ok(names.has(name), name);
  });

  it('every panel of the dashboard has a number while an agent is idle, and none shows NaN', async function () {
    this.timeout(120_000);
    const promtool = await promtoolOrSkip(this);
    const served = await scrape(installation().agent);
    await installation().agent.stop();
    // It has served nothing since its start.
    const idle = await installation().start();
    await untilEveryGauge(idle);
    const minutes = 30;
    for (const samples of [await scrape(idle), served]) {
      const series = [...samples].map(([name, value]) => {
        const [, metric = '', labels = ''] = /^(\w+)(?:\{(.*)\})?$/.exec(name) ?? [];
        const all = [labels, 'job="pulse-agent"', 'instance="a:8080"'].filter(Boolean).join(',');
        return [`${metric}{${all}}`, Array.from({ length: minutes }, () => value)] as const;
      });
      const expected = panels.flatMap(({ targets }) =>
        targets.flatMap(({ expr }) => {
          const asked = `(${expr.replaceAll('$__rate_interval', '5m')})`;
          const minute = minutes - 1;
          return [
            { expr: `count(${asked}) > bool 0`, minute, samples: { '{}': 1 } },
            // Nothing but NaN differs from itself.
            { expr: `${asked} != ${asked}`, minute, samples: {} },
          ];
        }),
      );
      await evaluateRules(promtool, 'config/monitoring/prometheus-alerts.yml', Object.fromEntries(series), expected);
    }
  });
});

/** Waits until the agent has read everything that its gauges show. */
async function untilEveryGauge(agent: Agent): Promise<void> {
  for (const name of [
    'pulse_agent_queue_replicas{queue="dead"}',
    'pulse_agent_queue_messages{queue="dead"}',
    'pulse_agent_broker_alarms{alarm="memory"}',
    'pulse_agent_broker_nodes{state="running"}',
    'pulse_agent_namespaces{state="active"}',
    'pulse_agent_notices_waiting',
    'pulse_agent_job_last_success_timestamp_seconds{job_name="survey-queues"}',
  ]) {
    await untilSample(agent, name, (value) => value !== undefined);
  }
}

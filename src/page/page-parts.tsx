import type { ComponentChildren, JSX } from 'preact';
import { agentNowMs } from './page-clock.ts';
import { withLocalTimes } from './page-formats.ts';
import { routeHref } from './page-routes.ts';

/** A part of a view with a heading. */
export function Panel(props: {
  readonly title: string;
  readonly aside?: ComponentChildren;
  readonly class?: string;
  readonly children: ComponentChildren;
}): JSX.Element {
  const id = `panel-${props.title.toLowerCase().replaceAll(/\W+/g, '-')}`;
  return (
    <section class={`panel ${props.class ?? ''}`} aria-labelledby={id}>
      <header>
        <h2 id={id}>{props.title}</h2>
        {props.aside !== undefined && <div class="aside">{props.aside}</div>}
      </header>
      {props.children}
    </section>
  );
}

/** A name that others chose: isolated, so that its direction of writing changes nothing around it. */
export function Name({ children }: { readonly children: string }): JSX.Element {
  return <bdi class="given-name">{children}</bdi>;
}

/** A sentence of the agent. It may have names that others chose, and its instants are in the viewer's zone. */
export function Said({ children }: { readonly children: string }): JSX.Element {
  return <bdi>{withLocalTimes(children, agentNowMs())}</bdi>;
}

/** A link to a namespace, by its name or by that of something in it. */
export function NamespaceLink({ name, label = name }: { readonly name: string; readonly label?: string }): JSX.Element {
  return (
    <a class="given-name" href={routeHref('namespaces', { name })}>
      <bdi>{label}</bdi>
    </a>
  );
}

/** The name of a queue with what all queues of the namespace share in the background; a link to it. */
export function QueueLink({ queue, namespace }: { readonly queue: string; readonly namespace: string }): JSX.Element {
  const shared = `queue/${namespace}/`;
  const [prefix, rest] = queue.startsWith(shared) ? [shared, queue.slice(shared.length)] : ['', queue];
  return (
    <a class="given-name" href={routeHref('namespaces', { name: namespace, query: { queue } })}>
      <bdi>
        <span class="name-prefix">{prefix}</span>
        {rest}
      </bdi>
    </a>
  );
}

/** Terms with what is known of them. */
export function Facts({ facts }: { readonly facts: readonly (readonly [string, ComponentChildren])[] }): JSX.Element {
  return (
    <dl class="facts">
      {facts.map(([term, known]) => (
        <div key={term}>
          <dt>{term}</dt>
          <dd>{known}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Shown until the first answer, and instead of one that was refused. */
export function Awaited({ failure }: { readonly failure: Error | undefined }): JSX.Element {
  if (failure !== undefined) return <RefusalNote failure={failure} />;
  return (
    <p class="empty" aria-busy="true">
      Asking the agent…
    </p>
  );
}

/** Why the agent refused to answer. What it answered before stays below. */
export function RefusalNote({ failure }: { readonly failure: Error | undefined }): JSX.Element | null {
  if (failure === undefined) return null;
  return (
    <p class="refusal" role="alert">
      {failure.message}
    </p>
  );
}

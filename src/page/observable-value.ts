import { useEffect, useState } from 'preact/hooks';

/** A value that parts of the page share and are notified of. */
export interface ObservableValue<T> {
  get(): T;
  set(value: T): void;
  /** @returns ends the subscription */
  subscribe(listener: () => void): () => void;
}

export function createObservable<T>(initial: T): ObservableValue<T> {
  let current = initial;
  const listeners = new Set<() => void>();
  return {
    get: () => current,
    set(value) {
      if (Object.is(value, current)) return;
      current = value;
      for (const listener of listeners) listener();
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  };
}

/** The value of `select`. The component is drawn again only when that changes. */
export function useObservable<T, S = T>(
  observable: ObservableValue<T>,
  select: (value: T) => S = (value) => value as unknown as S,
): S {
  const selected = select(observable.get());
  const [, setDrawn] = useState(selected);
  useEffect(() => {
    const update = (): void => setDrawn(() => select(observable.get()));
    update();
    return observable.subscribe(update);
  });
  return selected;
}

/** Whether the agent reaches the management API, at any of its addresses. */
export interface ManagementReach {
  readonly isReachable: boolean;
  /** Calls `listener` with each change. */
  onChange(listener: (isReachable: boolean) => void): void;
}

/** Creates it: reachable until `set` says otherwise. */
export function createManagementReach(): ManagementReach & { set(isReachable: boolean): void } {
  const listeners: ((isReachable: boolean) => void)[] = [];
  let current = true;
  return {
    get isReachable() {
      return current;
    },
    onChange: (listener) => void listeners.push(listener),
    set(isReachable) {
      if (isReachable === current) return;
      current = isReachable;
      for (const listener of listeners) listener(isReachable);
    },
  };
}

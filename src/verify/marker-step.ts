import type { Management } from '../broker/management/management.ts';
import { markedStore, markerNames, otherNames } from '../broker/marker.ts';
import type { Config } from '../config/config.ts';
import { failed, ok, type Step, type StepResult } from './step.ts';

interface MarkerStepOptions {
  readonly config: Config;
  readonly management: Pick<Management, 'getGlobalParameter'>;
}

/** Checks that the broker is marked for this store. */
export function markerStep({ config, management }: MarkerStepOptions, storeId: () => string | undefined): Step {
  return {
    name: 'marker',
    about: 'marker of the broker',
    needs: ['management-api'],
    async run(signal) {
      const read = markerNames(config).map((name) => management.getGlobalParameter(name, { signal }));
      const marks = await Promise.all(read);
      const differing = marks.flatMap((mark) => otherNames(mark, config) ?? []).at(0);
      if (differing !== undefined) {
        return failed(`agents of this store have other settings: ${differing}`, 'Give all agents the same settings.');
      }
      const stores = marks.map((mark) => (mark === undefined ? undefined : (markedStore(mark) ?? 'an unknown value')));
      const own = storeId();
      const others = stores.filter((store) => store !== own);
      return checkMarker(
        others.length === 0 || (own === undefined && !others.includes(undefined)) ? stores[0] : others[0],
        own,
      );
    },
  };
}

export function checkMarker(marked: string | undefined, storeId: string | undefined): StepResult {
  if (marked === undefined) return failed('the broker is not marked', 'Start an agent: it marks the broker.');
  if (storeId === undefined) return ok(`the broker is marked for the store ${marked}`);
  if (marked === storeId) return ok('the broker is marked for this store');
  return failed(
    `the broker is marked for the store ${marked}, and this one is ${storeId}`,
    'Point STORE_URL to that store, or run "pulse-agent adopt" to let this one take over.',
  );
}

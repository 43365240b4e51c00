import { render } from 'preact';
import { WholePage } from './whole-page.tsx';
import { startPageClock } from './page-clock.ts';
import { takeSessionToken } from './session-token.ts';
import { applyTheme } from './theme-switch.tsx';
import { followAddress } from './use-route.ts';

const root = document.getElementById('page');
if (root === null) throw new Error('The document has no element #page.');
applyTheme();
// Before the first question is asked and the address is read.
takeSessionToken();
followAddress();
startPageClock();
render(<WholePage />, root);

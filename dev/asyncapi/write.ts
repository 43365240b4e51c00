import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { asyncApiText } from './document.ts';

const file = fileURLToPath(new URL('../../docs/asyncapi.yaml', import.meta.url));
writeFileSync(file, asyncApiText());
console.log('docs/asyncapi.yaml is written from src/contract.');

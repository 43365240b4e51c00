import { writeFileSync } from 'node:fs';
import { documentUrl, GENERATED_DOCUMENTS } from './generated-docs.ts';

for (const [name, render] of Object.entries(GENERATED_DOCUMENTS)) {
  writeFileSync(documentUrl(name), render());
  console.log(`docs/${name} is up to date.`);
}

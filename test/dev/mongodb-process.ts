import { startMongoDB } from '../../dev/mongodb.ts';

// A process of its own that starts a server and prints its URL once it answers.
const [folder = ''] = process.argv.slice(2);
const server = await startMongoDB({ folder });
process.stdout.write(`${server.url}\n`);
setInterval(() => undefined, 1000);

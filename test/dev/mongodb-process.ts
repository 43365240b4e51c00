import { startMongoDB } from '../../dev/mongodb.ts';

// Starts a server in this process and prints its URL.
const [folder = ''] = process.argv.slice(2);
const server = await startMongoDB({ folder });
process.stdout.write(`${server.url}\n`);
setInterval(() => undefined, 1000);

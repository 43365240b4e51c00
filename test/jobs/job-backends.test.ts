import { MongoClient } from 'mongodb';
import { openJobBackend } from '../../src/jobs/open-job-backend.ts';
import { mongoDatabase, useSharedMongoDB } from '../support/mongodb.ts';
import { describeJobBackend } from './job-backend-contract.ts';

describeJobBackend('in memory', () => openJobBackend({ kind: 'lmdb' }));

describe('with a MongoDB', () => {
  const server = useSharedMongoDB();
  let client: MongoClient;

  before('connect', () => {
    client = new MongoClient(mongoDatabase(server()));
  });
  after('disconnect', async () => await client.close());

  describeJobBackend('in MongoDB', () => openJobBackend({ kind: 'mongodb', db: client.db() }));
});

// Runs once, in an empty database: the agent's own user, which may read and write its database and nothing else.
db.getSiblingDB('pulse-agent').createUser({
  user: 'pulse-agent',
  pwd: process.env.MONGODB_PASSWORD,
  roles: [{ role: 'readWrite', db: 'pulse-agent' }],
});

// Runs once, in an empty database. Creates the agent's user, which may read and write its own database only.
db.getSiblingDB('pulse-agent').createUser({
  user: 'pulse-agent',
  pwd: process.env.MONGODB_PASSWORD,
  roles: [{ role: 'readWrite', db: 'pulse-agent' }],
});

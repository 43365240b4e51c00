# Two stages: the compiler and what it needs stay in the first one.
FROM node:22-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.client.json ./
COPY src src
COPY dev dev
RUN npm run build
RUN npm prune --omit=dev --ignore-scripts

FROM node:22-bookworm-slim
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
COPY config config
# The one place that is written to, and only with the store in LMDB: the rest may be mounted read-only.
RUN mkdir -p /var/lib/pulse-agent && chown node:node /var/lib/pulse-agent
ENV STORE_URL=lmdb:/var/lib/pulse-agent
VOLUME /var/lib/pulse-agent
USER node
# Node is the first process and handles SIGTERM itself: no shell and no npm in between that would swallow it.
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "--max-semi-space-size=4", "--heap-growing-percent=50", "--v8-pool-size=1", "dist/cli/main.js"]
CMD ["serve"]

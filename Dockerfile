# The sync server for one application.
#
#   docker build -t synchrotron-server .
#   docker run -p 4400:4400 -e DATABASE_URL=postgres://... -e SYNCHROTRON_JWT_SECRET=... synchrotron-server
#
# APP is the module whose default export is the application's SyncApp, below examples/todo-app here. Without
# DATABASE_URL the server keeps an embedded PGlite in the volume /data.

FROM node:20-slim AS build
WORKDIR /synchrotron
ENV CI=true
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
RUN npm install --global "$(node -p 'require("./package.json").packageManager')" && pnpm fetch
COPY . .
RUN pnpm install --offline --frozen-lockfile && pnpm build
ARG APP=src/app.ts
RUN cd examples/todo-app \
  && APP="$APP" pnpm exec vite build --config ../../docker/sync-app.vite.config.mjs
# The image runs what npm would publish: the built files, without the tools that built them.
RUN node docker/publish-manifests.mjs \
  && find . -name node_modules -prune -exec rm -rf {} + \
  && pnpm install --offline --frozen-lockfile --prod \
       --filter "@synchrotron/sync-server..." --filter "@synchrotron/todo-app..."

FROM node:20-slim
WORKDIR /synchrotron
COPY --from=build /synchrotron ./
RUN chmod +x packages/sync-server/dist/bin.js \
  && ln -s /synchrotron/packages/sync-server/dist/bin.js /usr/local/bin/synchrotron-server \
  && install -d -o node -g node /data
USER node
ENV NODE_ENV=production \
    SYNCHROTRON_HOST=0.0.0.0 \
    SYNCHROTRON_PORT=4400 \
    SYNCHROTRON_DATA_DIR=/data \
    SYNCHROTRON_APP=/synchrotron/examples/todo-app/dist/sync-app.mjs
VOLUME /data
EXPOSE 4400
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "docker/healthcheck.mjs"]
ENTRYPOINT ["synchrotron-server"]
CMD ["serve"]

# The todo app as static files behind nginx, which also passes /v1/ on to the sync server, so that the
# browser sees one origin. SYNC_SERVER is that server's address inside the network.

FROM node:20-slim AS build
WORKDIR /synchrotron
ENV CI=true
COPY package.json pnpm-lock.yaml pnpm-workspace.yaml ./
RUN npm install --global "$(node -p 'require("./package.json").packageManager')" && pnpm fetch
COPY . .
RUN pnpm install --offline --frozen-lockfile && pnpm --filter @synchrotron/todo-app build

# nginx that runs as an ordinary user and listens on 8080.
FROM nginxinc/nginx-unprivileged:1.28-alpine
ENV SYNC_SERVER=http://sync-server:4400
# The entry point of the image fills in ${SYNC_SERVER} and writes the result to conf.d.
COPY docker/nginx.conf.template /etc/nginx/templates/default.conf.template
COPY --from=build /synchrotron/examples/todo-app/dist /usr/share/nginx/html
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s --retries=3 \
  CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/"]

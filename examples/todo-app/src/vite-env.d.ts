/// <reference types="vite/client" />

declare module "virtual:pglite-image" {
  const url: string
  export default url
}

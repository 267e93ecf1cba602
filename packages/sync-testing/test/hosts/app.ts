export { kitchenApp as default } from "../kitchen.ts"

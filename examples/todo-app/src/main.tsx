import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import "@fontsource-variable/hanken-grotesk/wght.css"
import "./styles/base.css"
import "./styles/shell.css"
import "./styles/page.css"
import "./styles/list.css"
import "./styles/parts.css"
import { keepOffline } from "./offline/offline.tsx"
import { App } from "./ui/App.tsx"
import { keepGivenToken } from "./ui/session.ts"

keepGivenToken()

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <App />
  </StrictMode>
)
keepOffline()

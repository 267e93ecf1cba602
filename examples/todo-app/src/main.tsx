import { StrictMode } from "react"
import { createRoot } from "react-dom/client"
import "@fontsource-variable/hanken-grotesk/wght.css"
import "./styles/base.css"
import "./styles/page.css"
import "./styles/panel.css"
import "./styles/list.css"
import { isPerson } from "./domain/people.ts"
import { keepOffline } from "./offline/offline.tsx"
import { Page } from "./ui/Page.tsx"
import { keepGivenToken } from "./ui/token.ts"

const user = new URLSearchParams(location.search).get("user")
if (isPerson(user)) keepGivenToken(user)

createRoot(document.getElementById("root")!).render(
  <StrictMode>
    <Page user={isPerson(user) ? user : undefined} />
  </StrictMode>
)
keepOffline()

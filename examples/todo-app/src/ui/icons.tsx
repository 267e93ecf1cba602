/** Line icons on a 20-unit grid, drawn with the text's colour. All are decoration: the control has the label. */
import type { ReactNode } from "react"

const icon = (paths: ReactNode) =>
  function Icon() {
    return (
      <svg
        className="icon"
        viewBox="0 0 20 20"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.6"
        strokeLinecap="round"
        strokeLinejoin="round"
        aria-hidden="true"
      >
        {paths}
      </svg>
    )
  }

export const CheckIcon = icon(<path className="stroke-in" pathLength="1" d="m5.5 10.4 3 3.1 6-7" />)
export const UpIcon = icon(<path d="M10 15.5V5m-4 4 4-4 4 4" />)
export const DownIcon = icon(<path d="M10 4.5V15m-4-4 4 4 4-4" />)
export const TrashIcon = icon(<path d="M4.5 6h11M8 6V4.5h4V6m-6.3 0 .6 9.5h7.4l.6-9.5M8.5 9v3.5m3-3.5v3.5" />)
export const MoreIcon = icon(<path strokeWidth="2.4" d="M5 10h.01M10 10h.01M15 10h.01" />)
export const PlusIcon = icon(<path d="M10 4.5v11M4.5 10h11" />)
export const LockIcon = icon(<path d="M6.5 9V7a3.5 3.5 0 0 1 7 0v2M5.5 9h9v6.5h-9Z" />)

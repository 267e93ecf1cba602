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
export const GripIcon = icon(
  <path strokeWidth="2.2" d="M8 5.5h.01M8 10h.01M8 14.5h.01M12 5.5h.01M12 10h.01M12 14.5h.01" />
)
export const MenuIcon = icon(<path d="M4 6h12M4 10h12M4 14h12" />)
export const SearchIcon = icon(<path d="M9 14A5 5 0 1 0 9 4a5 5 0 0 0 0 10Zm3.7-1.3L16 16" />)
export const CalendarIcon = icon(<path d="M4.5 6h11v9.5h-11Zm0 3h11M7.5 4v3m5-3v3" />)
export const PeopleIcon = icon(
  <path d="M8 9.5A2.5 2.5 0 1 0 8 4.500a2.500 2.500 0 0 0 0 5ZM3.500 15.500c0-2.500 2-4 4.500-4s4.500 1.500 4.500 4M12.500 9a2 2 0 1 0-.500-3.900M14 11.500c1.700.4 2.700 1.700 2.700 3.500" />
)
export const CloseIcon = icon(<path d="m5.500 5.500 9 9m0-9-9 9" />)

/** The tests of the hooks without a browser on React 18. */
import "./react-18.ts"
import "./react-server.test.tsx"

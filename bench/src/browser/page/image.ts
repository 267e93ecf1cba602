/** The prepared database, as an application ships it. */
export const image = async (): Promise<Blob> => (await fetch("/image.bin")).blob()

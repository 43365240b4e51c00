/** Standard output, standard error, or a stand-in. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  /** The height of a terminal, in lines. */
  readonly rows?: number;
  /** On a terminal: respects NO_COLOR and FORCE_COLOR. */
  hasColors?(count?: number, env?: NodeJS.ProcessEnv): boolean;
}

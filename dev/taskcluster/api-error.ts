const STATUS = {
  MalformedPayload: 400,
  InputError: 400,
  InputValidationError: 400,
  DenylistedAddress: 400,
  AuthenticationFailed: 401,
  InsufficientScopes: 403,
  ResourceNotFound: 404,
  InputTooLarge: 413,
  InternalServerError: 500,
} as const;

/** An error code of a Taskcluster service. */
export type ApiErrorCode = keyof typeof STATUS;

/** An error that is answered in the format of Taskcluster's services. */
export class ApiError extends Error {
  readonly code: ApiErrorCode;

  constructor(code: ApiErrorCode, message: string) {
    super(message);
    this.name = code;
    this.code = code;
  }

  get status(): number {
    return STATUS[this.code];
  }

  /** The body of the answer. It includes the payload with its signature, so callers must not print it. */
  toBody(method: string, payload: unknown): object {
    const time = new Date().toISOString();
    return {
      code: this.code,
      message:
        `${this.message}\n\n---\n\n* method:     ${method}\n* errorCode:  ${this.code}\n` +
        `* statusCode: ${this.status}\n* time:       ${time}`,
      requestInfo: { method, params: {}, payload, time },
    };
  }
}

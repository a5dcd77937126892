"""The close codes of WebSockets that this server sends (RFC 6455 §7.4.1); docs/reference/websocket.md explains them."""

from wsproto.frame_protocol import CloseReason

NORMAL = int(CloseReason.NORMAL_CLOSURE)
GOING_AWAY = int(CloseReason.GOING_AWAY)
PROTOCOL_ERROR = int(CloseReason.PROTOCOL_ERROR)
UNSUPPORTED_DATA = int(CloseReason.UNSUPPORTED_DATA)
INVALID_TEXT = int(CloseReason.INVALID_FRAME_PAYLOAD_DATA)
POLICY_VIOLATION = int(CloseReason.POLICY_VIOLATION)
MESSAGE_TOO_BIG = int(CloseReason.MESSAGE_TOO_BIG)
INTERNAL_ERROR = int(CloseReason.INTERNAL_ERROR)
TRY_AGAIN_LATER = int(CloseReason.TRY_AGAIN_LATER)
IDLE = 4000  # §7.4.2 leaves 4000 to 4999 to applications
LOST = int(CloseReason.ABNORMAL_CLOSURE)  # of a connection that ended without one; never sent
SENT = (
    *(NORMAL, GOING_AWAY, PROTOCOL_ERROR, UNSUPPORTED_DATA, INVALID_TEXT, POLICY_VIOLATION, MESSAGE_TOO_BIG),
    *(INTERNAL_ERROR, TRY_AGAIN_LATER, IDLE),
)

#include "peer/transport/errors.hpp"

#include "common/base/error.hpp"

namespace pinhole::transport {

namespace {

const char* describe(int code) {
    switch (static_cast<TransportErrc>(code)) {
        case TransportErrc::closed:
            return "the connection has ended";
        case TransportErrc::stream_limit:
            return "the peer allows no further stream now";
        case TransportErrc::unknown_stream:
            return "there is no such stream";
        case TransportErrc::stream_finished:
            return "the stream was finished";
        case TransportErrc::stream_stopped:
            return "the peer does not want to read any more";
        case TransportErrc::stream_reset:
            return "the peer gave up sending";
    }
    return "unknown transport error";
}

}  // namespace

std::error_code make_error_code(TransportErrc code) {
    static const EnumCategory category{"transport", describe};
    return {static_cast<int>(code), category};
}

}  // namespace pinhole::transport

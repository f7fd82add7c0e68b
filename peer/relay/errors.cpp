#include "peer/relay/errors.hpp"

namespace pinhole::relay {

namespace {

const char* describe(int value) {
    switch (static_cast<Errc>(value)) {
        case Errc::no_answer:
            return "the relay does not answer";
        case Errc::wrong_certificate:
            return "not taken for the relay";
        case Errc::refused_credentials:
            return "the relay does not take the credentials";
        case Errc::gone:
            return "the relay has forgotten us";
        case Errc::port_in_use:
            return "the relay takes our port for that of another client";
        case Errc::quota:
            return "the relay allows no more relayed addresses";
        case Errc::full:
            return "the relay has no capacity left";
        case Errc::elsewhere:
            return "the relay names another relay";
        case Errc::unsupported:
            return "the relay cannot do what was asked for";
        case Errc::refused:
            return "the relay refused";
        case Errc::nonsense:
            return "the relay gave an answer that makes no sense";
    }
    return "unknown relay error";
}

const EnumCategory& category() {
    static const EnumCategory instance{"relay", describe};
    return instance;
}

}  // namespace

std::error_code make_error_code(Errc code) {
    return {static_cast<int>(code), category()};
}

}  // namespace pinhole::relay

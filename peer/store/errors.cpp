#include "peer/store/errors.hpp"

namespace pinhole::peer_store {

namespace {

const char* describe(int value) {
    switch (static_cast<Errc>(value)) {
        case Errc::no_home:
            return "neither XDG_DATA_HOME nor HOME is set; name a folder with --home";
        case Errc::home_unusable:
            return "this folder cannot be used; name another one with --home";
        case Errc::identity_exposed:
            return "the identity must be readable by its owner only; check who could read it and run chmod 600 on it";
        case Errc::identity_damaged:
            return "the identity is damaged; restore it from a backup, or remove it to get a new one, which contacts "
                   "will "
                   "not know";
        case Errc::identity_unusable:
            return "the identity cannot be read or written";
        case Errc::bad_name:
            return "this cannot be the name of a contact";
        case Errc::name_taken:
            return "there is a contact of this name already";
        case Errc::id_taken:
            return "this ID is in the contacts already";
        case Errc::unknown_contact:
            return "there is no such contact; see pinhole contacts list";
    }
    return "unknown error";
}

const EnumCategory kCategory{"peer_store", describe};

}  // namespace

std::error_code make_error_code(Errc code) {
    return {static_cast<int>(code), kCategory};
}

}  // namespace pinhole::peer_store

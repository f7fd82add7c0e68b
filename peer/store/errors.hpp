// What can go wrong with what a peer keeps; the detail of the Error says which file or name, and what to do about it.
#pragma once

#include "common/base/error.hpp"

namespace pinhole::peer_store {

enum class Errc {
    no_home = 1,       ///< neither XDG_DATA_HOME nor HOME is set
    home_unusable,     ///< cannot be created, or is not a folder
    identity_exposed,  ///< the identity file can be read by others, or belongs to somebody else
    identity_damaged,
    identity_unusable,  ///< cannot be read or written
    bad_name,           ///< a contact's name that is empty, too long, not printable, or looks like an ID
    name_taken,
    id_taken,  ///< this ID is a contact already; the detail is its name
    unknown_contact
};
std::error_code make_error_code(Errc code);

}  // namespace pinhole::peer_store

template <>
struct std::is_error_code_enum<pinhole::peer_store::Errc> : std::true_type {};

// What the tables of this room have in common: how ids and enums are stored, and running a statement over all its rows.
// Private to peer/store.
#pragma once

#include "common/store/database.hpp"

#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace pinhole::peer_store {

/// What a column of 16 or 32 bytes holds. Zeros for another size, which the CHECKs of the schema do not let in.
template <class Id>
[[nodiscard]] Id id_from(const store::Statement& row, int column) {
    return Id::from_bytes(row.blob(column)).value_or(Id{});
}

template <class Enum>
[[nodiscard]] std::int64_t number(Enum value) {
    return static_cast<std::int64_t>(value);
}

template <class Enum>
[[nodiscard]] Enum enum_from(const store::Statement& row, int column) {
    return static_cast<Enum>(row.integer(column));
}

/// Prepares `sql`, lets `bind` fill it and runs it.
template <class Bind>
[[nodiscard]] Status run(store::Database& database, std::string_view sql, Bind bind) {
    auto statement = database.prepare(sql);
    if (!statement) {
        return std::unexpected(std::move(statement.error()));
    }
    bind(*statement);
    return statement->run();
}

/// As run, with `read` turned on each row.
template <class Bind, class Read, class Row = std::invoke_result_t<Read, const store::Statement&>>
[[nodiscard]] Result<std::vector<Row>> rows(store::Database& database, std::string_view sql, Bind bind, Read read) {
    auto statement = database.prepare(sql);
    if (!statement) {
        return std::unexpected(std::move(statement.error()));
    }
    bind(*statement);
    std::vector<Row> found;
    for (;;) {
        const auto more = statement->step();
        if (!more) {
            return std::unexpected(more.error());
        }
        if (!*more) {
            return found;
        }
        found.push_back(read(*statement));
    }
}

/// As rows, for at most one.
template <class Bind, class Read, class Row = std::invoke_result_t<Read, const store::Statement&>>
[[nodiscard]] Result<std::optional<Row>> row(store::Database& database, std::string_view sql, Bind bind, Read read) {
    auto found = rows(database, sql, bind, read);
    if (!found) {
        return std::unexpected(std::move(found.error()));
    }
    return found->empty() ? std::optional<Row>{} : std::optional<Row>{std::move(found->front())};
}

}  // namespace pinhole::peer_store

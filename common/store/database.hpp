// SQLite behind RAII and Result: a database, statements, transactions, migrations. The only room that sees sqlite3.h.
// One Database per thread; several processes may share the file (WAL, and 5 s of patience with each other's locks).
#pragma once

#include "common/base/bytes.hpp"
#include "common/base/error.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

struct sqlite3;
struct sqlite3_stmt;

namespace pinhole::store {

enum class Errc {
    cannot_open = 1,  ///< no such folder, no permission, not a regular file
    busy,             ///< another process held a lock for too long
    constraint,       ///< a UNIQUE, NOT NULL or CHECK rule of the schema said no
    disk_full,
    damaged,       ///< not a database, or a broken one
    newer_schema,  ///< written by a newer version of this program
    failed         ///< anything else; the detail has SQLite's words
};
std::error_code make_error_code(Errc code);

/// A prepared statement. Bind errors are kept and reported by the next step().
class Statement {
  public:
    /// Parameters are numbered from 1, in the order of the chain.
    Statement& bind(std::int64_t value);
    Statement& bind(std::string_view text);
    Statement& bind(ByteView blob);
    Statement& bind_null();

    Statement& bind(const std::optional<std::int64_t>& value) { return value ? bind(*value) : bind_null(); }

    /// True: a row is there to read. False: finished.
    [[nodiscard]] Result<bool> step();
    /// For statements without rows.
    [[nodiscard]] Status run();
    /// Ready for another round of bind and step.
    void reset();

    // Columns of the current row, from 0; SQLite converts types.
    [[nodiscard]] std::int64_t integer(int column) const;
    [[nodiscard]] std::string text(int column) const;
    [[nodiscard]] Bytes blob(int column) const;
    [[nodiscard]] bool is_null(int column) const;

  private:
    friend class Database;

    struct Finalize {
        void operator()(sqlite3_stmt* statement) const;
    };

    explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

    void keep_error(int code);

    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
    int next_parameter_ = 1;
    int bind_error_ = 0;
};

class Database {
  public:
    /// Opens or creates the file, for this user only (0600). ":memory:" is a database without a file.
    [[nodiscard]] static Result<Database> open(const std::string& path);

    /// Brings the schema to version `steps.size()`: step n takes a database from version n to n+1, each in a
    /// transaction. Several processes may do so at once. Refuses a database of a later version.
    [[nodiscard]] Status migrate(std::span<const std::string_view> steps);

    [[nodiscard]] Result<Statement> prepare(std::string_view sql);
    /// One or more statements without parameters and rows.
    [[nodiscard]] Status execute(const std::string& sql);
    /// Rows that the last INSERT, UPDATE or DELETE changed.
    [[nodiscard]] std::int64_t changes() const;

  private:
    struct Close {
        void operator()(sqlite3* database) const;
    };

    explicit Database(sqlite3* database) : database_(database) {}

    [[nodiscard]] Status use_wal();
    [[nodiscard]] Result<std::int64_t> schema_version();
    [[nodiscard]] Status migrate_once(std::span<const std::string_view> steps);

    std::unique_ptr<sqlite3, Close> database_;
};

/// Takes the write lock at once; rolls back unless committed. The database outlives it.
class Transaction {
  public:
    [[nodiscard]] static Result<Transaction> begin(Database& database);

    Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}

    Transaction& operator=(Transaction&&) = delete;
    ~Transaction();

    [[nodiscard]] Status commit();

  private:
    explicit Transaction(Database& database) : database_(&database) {}

    Database* database_;
};

}  // namespace pinhole::store

template <>
struct std::is_error_code_enum<pinhole::store::Errc> : std::true_type {};

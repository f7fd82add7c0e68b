#include "common/store/database.hpp"

#include <cerrno>
#include <tuple>
#include <utility>

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

namespace pinhole::store {

namespace {

constexpr int kBusyTimeoutMs = 5000;

const char* describe(int value) {
    switch (static_cast<Errc>(value)) {
        case Errc::cannot_open:
            return "the database cannot be opened";
        case Errc::busy:
            return "another process holds the database locked; try again";
        case Errc::constraint:
            return "the database refuses the value";
        case Errc::disk_full:
            return "there is no room left for the database";
        case Errc::damaged:
            return "the database is damaged; restore it from a backup, or move it away to start with a new one";
        case Errc::newer_schema:
            return "the database was written by a newer version of this program; update the program";
        case Errc::failed:
            return "the database failed";
    }
    return "unknown error";
}

const EnumCategory kCategory{"store", describe};

Errc from_sqlite(int code) {
    switch (code & 0xff) {
        case SQLITE_CANTOPEN:
        case SQLITE_PERM:
        case SQLITE_READONLY:
            return Errc::cannot_open;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return Errc::busy;
        case SQLITE_CONSTRAINT:
            return Errc::constraint;
        case SQLITE_FULL:
            return Errc::disk_full;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
            return Errc::damaged;
        default:
            return Errc::failed;
    }
}

std::unexpected<Error> failure(sqlite3* database, int code) {
    const auto errc = from_sqlite(code);
    return fail(errc, errc == Errc::failed || errc == Errc::constraint ? sqlite3_errmsg(database) : "");
}

bool is_memory(const std::string& path) {
    return path == ":memory:";
}

/// SQLite would make the file with the umask's mode, and its journals after it.
Status create_private(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        return fail(Errc::cannot_open, path + " (" + errno_code().message() + ")");
    }
    ::close(file);
    return {};
}

}  // namespace

std::error_code make_error_code(Errc code) {
    return {static_cast<int>(code), kCategory};
}

// --- Statement ---

void Statement::Finalize::operator()(sqlite3_stmt* statement) const {
    sqlite3_finalize(statement);
}

void Statement::keep_error(int code) {
    ++next_parameter_;
    if (bind_error_ == SQLITE_OK) {
        bind_error_ = code;
    }
}

Statement& Statement::bind(std::int64_t value) {
    keep_error(sqlite3_bind_int64(statement_.get(), next_parameter_, value));
    return *this;
}

Statement& Statement::bind(std::string_view text) {
    // A null pointer would bind NULL.
    const char* data = text.data() != nullptr ? text.data() : "";
    keep_error(
        sqlite3_bind_text64(statement_.get(), next_parameter_, data, text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
    return *this;
}

Statement& Statement::bind(ByteView blob) {
    const void* data = blob.data() != nullptr ? static_cast<const void*>(blob.data()) : "";
    keep_error(sqlite3_bind_blob64(statement_.get(), next_parameter_, data, blob.size(), SQLITE_TRANSIENT));
    return *this;
}

Statement& Statement::bind_null() {
    keep_error(sqlite3_bind_null(statement_.get(), next_parameter_));
    return *this;
}

Result<bool> Statement::step() {
    auto* database = sqlite3_db_handle(statement_.get());
    if (bind_error_ != SQLITE_OK) {
        return fail(Errc::failed, sqlite3_errstr(bind_error_));
    }
    const int code = sqlite3_step(statement_.get());
    if (code == SQLITE_ROW || code == SQLITE_DONE) {
        return code == SQLITE_ROW;
    }
    return failure(database, code);
}

Status Statement::run() {
    const auto stepped = step();
    return stepped ? Status{} : Status{std::unexpected(stepped.error())};
}

void Statement::reset() {
    sqlite3_reset(statement_.get());
    sqlite3_clear_bindings(statement_.get());
    next_parameter_ = 1;
    bind_error_ = SQLITE_OK;
}

std::int64_t Statement::integer(int column) const {
    return sqlite3_column_int64(statement_.get(), column);
}

std::string Statement::text(int column) const {
    return std::string{as_text(blob(column))};
}

Bytes Statement::blob(int column) const {
    const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_.get(), column));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column));
    return data != nullptr ? Bytes(data, data + size) : Bytes{};
}

bool Statement::is_null(int column) const {
    return sqlite3_column_type(statement_.get(), column) == SQLITE_NULL;
}

// --- Database ---

void Database::Close::operator()(sqlite3* database) const {
    sqlite3_close_v2(database);
}

Result<Database> Database::open(const std::string& path) {
    if (!is_memory(path)) {
        if (auto created = create_private(path); !created) {
            return std::unexpected(std::move(created.error()));
        }
    }
    sqlite3* handle = nullptr;
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    const int code = sqlite3_open_v2(path.c_str(), &handle, flags, nullptr);
    Database database{handle};
    if (code != SQLITE_OK) {
        return fail(Errc::cannot_open, path);
    }
    sqlite3_busy_timeout(handle, kBusyTimeoutMs);
    auto ready = database.use_wal();
    if (ready) {
        ready = database.execute("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;");
    }
    if (!ready) {
        return fail(ready.error().code, path);
    }
    return database;
}

/// WAL: readers and one writer do not wait for each other; with it, synchronous NORMAL never damages the database, and
/// a power cut loses at most the last moments. SQLite does not wait for locks while it changes the mode, which happens
/// once in the life of the file, so the waiting is done here.
Status Database::use_wal() {
    constexpr int kPauseMs = 10;
    for (int waited = 0;; waited += kPauseMs) {
        auto done = execute("PRAGMA journal_mode = WAL");
        if (done || done.error().code != Errc::busy || waited >= kBusyTimeoutMs) {
            return done;
        }
        sqlite3_sleep(kPauseMs);
    }
}

Result<Statement> Database::prepare(std::string_view sql) {
    sqlite3_stmt* statement = nullptr;
    const int code = sqlite3_prepare_v2(database_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
    if (code != SQLITE_OK) {
        return failure(database_.get(), code);
    }
    return Statement{statement};
}

Status Database::execute(const std::string& sql) {
    const int code = sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr);
    return code == SQLITE_OK ? Status{} : Status{failure(database_.get(), code)};
}

std::int64_t Database::changes() const {
    return sqlite3_changes64(database_.get());
}

Result<std::int64_t> Database::schema_version() {
    auto statement = prepare("PRAGMA user_version");
    if (!statement) {
        return std::unexpected(std::move(statement.error()));
    }
    if (auto row = statement->step(); !row) {
        return std::unexpected(std::move(row.error()));
    }
    return statement->integer(0);
}

Status Database::migrate(std::span<const std::string_view> steps) {
    const auto version = schema_version();
    if (!version) {
        return std::unexpected(version.error());
    }
    if (*version == static_cast<std::int64_t>(steps.size())) {
        return {};
    }
    return migrate_once(steps);
}

/// The version is read again under the write lock: another process may have been faster.
Status Database::migrate_once(std::span<const std::string_view> steps) {
    auto transaction = Transaction::begin(*this);
    if (!transaction) {
        return std::unexpected(std::move(transaction.error()));
    }
    const auto version = schema_version();
    if (!version) {
        return std::unexpected(version.error());
    }
    if (*version > static_cast<std::int64_t>(steps.size())) {
        return fail(Errc::newer_schema);
    }
    for (auto step = static_cast<std::size_t>(*version); step < steps.size(); ++step) {
        if (auto done = execute(std::string{steps[step]}); !done) {
            return done;
        }
    }
    if (auto kept = execute("PRAGMA user_version = " + std::to_string(steps.size())); !kept) {
        return kept;
    }
    return transaction->commit();
}

// --- Transaction ---

Result<Transaction> Transaction::begin(Database& database) {
    if (auto begun = database.execute("BEGIN IMMEDIATE"); !begun) {
        return std::unexpected(std::move(begun.error()));
    }
    return Transaction{database};
}

Transaction::~Transaction() {
    if (database_ != nullptr) {
        std::ignore = database_->execute("ROLLBACK");
    }
}

Status Transaction::commit() {
    auto committed = database_->execute("COMMIT");
    if (committed) {
        database_ = nullptr;
    }
    return committed;
}

}  // namespace pinhole::store

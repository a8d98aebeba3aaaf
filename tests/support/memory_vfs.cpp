// SPDX-License-Identifier: Apache-2.0
#include "support/memory_vfs.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include <sqlite3.h>

namespace things {

struct MemoryVfs::Layer {
    struct File {
        sqlite3_file base;
        MemoryVfs* owner;
        std::string* path;
    };
    sqlite3_vfs vfs{};

    static MemoryVfs& owner(sqlite3_file* f) { return *reinterpret_cast<File*>(f)->owner; }
    static Data& data(sqlite3_file* f) { return owner(f).files_[*reinterpret_cast<File*>(f)->path]; }

    static bool is_log(sqlite3_file* f) {
        const std::string& path = *reinterpret_cast<File*>(f)->path;
        return path.size() > 4 && path.compare(path.size() - 4, 4, "-wal") == 0;
    }

    static int close(sqlite3_file* f) {
        delete reinterpret_cast<File*>(f)->path;
        return SQLITE_OK;
    }
    static int read(sqlite3_file* f, void* out, int size, sqlite3_int64 at) {
        MemoryVfs& o = owner(f);
        const std::lock_guard guard(o.mutex_);
        if (o.fail_at_ > 0 && o.fault_ == Fault::io)
            if (const int code = o.enter(false))
                return code;
        const std::string& bytes = data(f).current;
        const auto offset = static_cast<std::size_t>(at);
        const std::size_t there =
            offset >= bytes.size() ? 0 : std::min(bytes.size() - offset, static_cast<std::size_t>(size));
        std::memset(out, 0, static_cast<std::size_t>(size));
        std::memcpy(out, bytes.data() + std::min(offset, bytes.size()), there);
        return there == static_cast<std::size_t>(size) ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
    }
    static int write(sqlite3_file* f, const void* bytes, int size, sqlite3_int64 at) {
        MemoryVfs& o = owner(f);
        const std::lock_guard guard(o.mutex_);
        if (const int code = o.enter(true))
            return code;
        Data& d = data(f);
        if (o.bug_ == Bug::late_log_syncs && !is_log(f))
            MemoryVfs::sync(o.files_[*reinterpret_cast<File*>(f)->path + "-wal"]);
        const auto end = static_cast<std::uint64_t>(at) + static_cast<std::uint64_t>(size);
        if (o.size_limit_ > 0 && end > d.current.size()) {
            std::uint64_t total = end - d.current.size();
            for (const auto& [path, other] : o.files_)
                total += other.current.size();
            if (total > o.size_limit_)
                return SQLITE_FULL;
        }
        Write w{static_cast<std::uint64_t>(at),
                std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(size)), false};
        apply(d.current, w);
        d.pending.push_back(std::move(w));
        return SQLITE_OK;
    }
    static int truncate(sqlite3_file* f, sqlite3_int64 size) {
        MemoryVfs& o = owner(f);
        const std::lock_guard guard(o.mutex_);
        if (const int code = o.enter(true))
            return code;
        Write w{static_cast<std::uint64_t>(size), {}, true};
        apply(data(f).current, w);
        data(f).pending.push_back(std::move(w));
        return SQLITE_OK;
    }
    static int sync(sqlite3_file* f, int) {
        MemoryVfs& o = owner(f);
        const std::lock_guard guard(o.mutex_);
        if (const int code = o.enter(true))
            return code == SQLITE_IOERR_WRITE ? SQLITE_IOERR_FSYNC : code;
        if (o.bug_ == Bug::none || (o.bug_ == Bug::late_log_syncs && !is_log(f)))
            MemoryVfs::sync(data(f));
        return SQLITE_OK;
    }
    static int size(sqlite3_file* f, sqlite3_int64* out) {
        const std::lock_guard guard(owner(f).mutex_);
        *out = static_cast<sqlite3_int64>(data(f).current.size());
        return SQLITE_OK;
    }
    static int lock(sqlite3_file*, int) { return SQLITE_OK; }
    static int check_lock(sqlite3_file*, int* out) {
        *out = 0;
        return SQLITE_OK;
    }
    static int control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
    static int sector_size(sqlite3_file*) { return 4096; }
    static int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

    static int open(sqlite3_vfs* v, const char* name, sqlite3_file* f, int flags, int* out) {
        static const sqlite3_io_methods methods = {
            1,       close,      read,    write,       truncate,        sync,    size,    lock,
            lock,    check_lock, control, sector_size, characteristics, nullptr, nullptr, nullptr,
            nullptr, nullptr,    nullptr};
        auto* o = static_cast<MemoryVfs*>(v->pAppData);
        const std::lock_guard guard(o->mutex_);
        if (o->fail_at_ > 0 && o->enter(true) != SQLITE_OK) {
            f->pMethods = nullptr;
            return SQLITE_CANTOPEN;
        }
        *reinterpret_cast<File*>(f) = {{&methods}, o, new std::string(name == nullptr ? "temporary" : name)};
        o->files_[*reinterpret_cast<File*>(f)->path];
        if (out != nullptr)
            *out = flags;
        return SQLITE_OK;
    }
    static int remove(sqlite3_vfs* v, const char* name, int) {
        auto* o = static_cast<MemoryVfs*>(v->pAppData);
        const std::lock_guard guard(o->mutex_);
        o->files_.erase(name);
        return SQLITE_OK;
    }
    static int access(sqlite3_vfs* v, const char* name, int, int* out) {
        auto* o = static_cast<MemoryVfs*>(v->pAppData);
        const std::lock_guard guard(o->mutex_);
        *out = o->files_.count(name) > 0 ? 1 : 0;
        return SQLITE_OK;
    }
    static int full_path(sqlite3_vfs*, const char* name, int size, char* out) {
        sqlite3_snprintf(size, out, "%s", name);
        return SQLITE_OK;
    }
};

MemoryVfs::MemoryVfs(std::string name) : name_(std::move(name)), layer_(new Layer) {
    layer_->vfs = *sqlite3_vfs_find(nullptr);
    layer_->vfs.pNext = nullptr;
    layer_->vfs.szOsFile = sizeof(Layer::File);
    layer_->vfs.zName = name_.c_str();
    layer_->vfs.pAppData = this;
    layer_->vfs.xOpen = Layer::open;
    layer_->vfs.xDelete = Layer::remove;
    layer_->vfs.xAccess = Layer::access;
    layer_->vfs.xFullPathname = Layer::full_path;
    sqlite3_vfs_register(&layer_->vfs, 0);
}

MemoryVfs::~MemoryVfs() {
    sqlite3_vfs_unregister(&layer_->vfs);
    delete layer_;
}

void MemoryVfs::apply(std::string& bytes, const Write& write) {
    if (write.is_truncation) {
        bytes.resize(static_cast<std::size_t>(write.offset));
        return;
    }
    const auto offset = static_cast<std::size_t>(write.offset);
    if (bytes.size() < offset + write.bytes.size())
        bytes.resize(offset + write.bytes.size());
    bytes.replace(offset, write.bytes.size(), write.bytes);
}

void MemoryVfs::sync(Data& data) {
    for (const Write& w : std::exchange(data.pending, {}))
        apply(data.synced, w);
}

int MemoryVfs::enter(bool changes) {
    ++count_;
    is_holding_ = hold_;
    released_.wait(mutex_, [this] { return !hold_; });
    is_holding_ = false;
    if (changes && cut_at_ > 0 && count_ >= cut_at_ && !cut_)
        cut_ = files_;
    if (fail_at_ == 0 || count_ < fail_at_)
        return SQLITE_OK;
    if (!sticky_)
        fail_at_ = 0;
    if (fault_ == Fault::full)
        return SQLITE_FULL;
    return fault_ == Fault::readonly ? SQLITE_READONLY : SQLITE_IOERR_WRITE;
}

void MemoryVfs::hold(bool on) {
    const std::lock_guard guard(mutex_);
    hold_ = on;
    released_.notify_all();
}

bool MemoryVfs::is_holding() const {
    const std::lock_guard guard(mutex_);
    return is_holding_;
}

void MemoryVfs::cut_at(std::uint64_t number) {
    const std::lock_guard guard(mutex_);
    cut_.reset();
    cut_at_ = count_ + number;
}

bool MemoryVfs::was_cut() const {
    const std::lock_guard guard(mutex_);
    return cut_.has_value();
}

MemoryVfs::Image MemoryVfs::image(std::mt19937_64& random, Survival survival) const {
    constexpr std::size_t sector = 512;
    const std::lock_guard guard(mutex_);
    Image out;
    for (const auto& [path, d] : cut_ ? *cut_ : files_) {
        std::string bytes = d.synced;
        for (const Write& w : d.pending) {
            if (survival == Survival::all || (survival == Survival::some_writes && random() % 2 == 0))
                apply(bytes, w);
            if (survival != Survival::some_sectors)
                continue;
            if (w.is_truncation && random() % 2 == 0)
                apply(bytes, w);
            for (std::size_t at = 0; at < w.bytes.size();) {
                const std::size_t step = std::min(w.bytes.size() - at, sector - (w.offset + at) % sector);
                if (random() % 2 == 0)
                    apply(bytes, {w.offset + at, w.bytes.substr(at, step), false});
                at += step;
            }
        }
        out.emplace(path, std::move(bytes));
    }
    return out;
}

void MemoryVfs::load(const Image& image) {
    const std::lock_guard guard(mutex_);
    files_.clear();
    cut_.reset();
    cut_at_ = 0;
    for (const auto& [path, bytes] : image)
        files_[path] = {bytes, bytes, {}};
}

void MemoryVfs::plant(Bug bug) {
    const std::lock_guard guard(mutex_);
    bug_ = bug;
}

void MemoryVfs::fail_at(std::uint64_t number, Fault fault, bool sticky) {
    const std::lock_guard guard(mutex_);
    fail_at_ = number == 0 ? 0 : count_ + number;
    fault_ = fault;
    sticky_ = sticky;
}

void MemoryVfs::limit_size(std::uint64_t bytes) {
    const std::lock_guard guard(mutex_);
    size_limit_ = bytes;
}

std::uint64_t MemoryVfs::operations() const {
    const std::lock_guard guard(mutex_);
    return count_;
}

} // namespace things

// SPDX-License-Identifier: Apache-2.0
#include "queue/flash/archive.hpp"

#include "platform/log.hpp"
#include "queue/flash/rescue.hpp"
#include "queue/queue.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <filesystem>
#include <future>
#include <system_error>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

namespace things {

namespace {

/// Puts a double of our own in the place of root's file, which goes only when the double is on the disk.
/// False: it may not be read, or there is no room.
bool take_over(const std::string& path) {
    const std::string own = path + ".own";
    std::error_code error, ignored;
    struct stat file {};
    if (::lstat(path.c_str(), &file) != 0 || file.st_uid == ::geteuid())
        return true;
    std::filesystem::copy_file(path, own, std::filesystem::copy_options::overwrite_existing, error);
    bool is_taken = !error && sync_file(own);
    if (is_taken)
        std::filesystem::rename(own, path, error);
    is_taken = is_taken && !error;
    if (is_taken)
        sync_folder(path);
    else
        std::filesystem::remove(own, ignored);
    return is_taken;
}

std::string cure_of(const std::string& file) {
    return fmt::format("chown {} {}; chmod 600 {}", ::geteuid(), file, file);
}

} // namespace

Archive::Archive(boost::asio::any_io_executor loop, Options options, ArchiveContent& content,
                 std::string& problem)
    : loop_(std::move(loop)), options_(std::move(options)), ballast_(options_.path, options_.ballast) {
    prepared(options_.path);
    thread_ = std::thread([this] { run(); });
    std::promise<void> opened;
    submit([this, &content, &problem, &opened] {
        try {
            open(&content);
            was_opened_ = true;
            make_ballast();
            opened.set_value();
        } catch (const QueueError&) {
            opened.set_exception(std::current_exception());
        } catch (const std::exception& e) {
            store_.reset();
            problem = e.what();
            opened.set_value();
        }
    });
    try {
        std::future<void> end = opened.get_future();
        while (options_.while_opening && end.wait_for(std::chrono::seconds(1)) == std::future_status::timeout)
            options_.while_opening();
        end.get();
    } catch (...) {
        submit([this] { store_.reset(); });
        {
            const std::lock_guard guard(mutex_);
            stop_ = true;
        }
        wake_.notify_one();
        thread_.join();
        throw;
    }
}

Archive::~Archive() {
    {
        const std::lock_guard guard(mutex_);
        stop_ = true;
        tasks_.clear();
        tasks_.emplace_back([this] {
            donor_.reset();
            store_.reset();
        });
    }
    wake_.notify_one();
    if (thread_.joinable())
        thread_.join();
}

void Archive::submit(Task task) {
    {
        const std::lock_guard guard(mutex_);
        tasks_.push_back(std::move(task));
    }
    wake_.notify_one();
}

std::chrono::milliseconds Archive::silence(std::int64_t now_ms) {
    const auto owed = heartbeat_.ask(now_ms);
    if (owed.count() == 0)
        submit([] {}); // a round to answer in
    return owed;
}

void Archive::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        heartbeat_.beat();
        wake_.wait(lock, [this] { return stop_ || !tasks_.empty(); });
        if (tasks_.empty())
            return;
        const Task task = std::move(tasks_.front());
        tasks_.pop_front();
        lock.unlock();
        task();
        lock.lock();
    }
}

template <typename Handler, typename Result>
void Archive::deliver(Handler handler, Result result) {
    boost::asio::post(loop_, [alive = std::weak_ptr<int>(alive_), handler = std::move(handler),
                              result = std::move(result)]() mutable {
        if (!alive.expired())
            handler(std::move(result));
    });
}

void Archive::commit(CommitRequest request, std::function<void(CommitResult)> handler) {
    submit([this, request = std::move(request), handler = std::move(handler)]() mutable {
        deliver(std::move(handler), try_commit(request));
    });
}

void Archive::read(DeviceId device, std::uint64_t from, std::uint64_t count,
                   std::function<void(std::optional<std::vector<Block>>)> handler) {
    submit([this, device, from, count, handler = std::move(handler)]() mutable {
        std::optional<std::vector<Block>> blocks;
        try {
            if (!store_)
                open_again();
            if (!was_reset_ && !late_)
                blocks = store_->read_blocks(device, from, count);
        } catch (const std::exception& e) {
            give_up(e);
        }
        deliver(std::move(handler), std::move(blocks));
    });
}

void Archive::audit(const std::string& device, std::size_t most,
                    std::function<void(std::vector<Command>)> handler) {
    submit([this, device, most, handler = std::move(handler)]() mutable {
        std::vector<Command> commands;
        try {
            if (!store_)
                open_again();
            commands = store_->audit(device, most);
        } catch (const std::exception& e) {
            give_up(e);
        }
        deliver(std::move(handler), std::move(commands));
    });
}

/// Not while room is needed: then the next commit that goes through does it.
void Archive::make_ballast() {
    if (options_.ballast > 0)
        ballast_.make();
}

void Archive::open(ArchiveContent* content) {
    enter_folder();
    const std::string refused = clear_place();
    std::string damage;
    const std::string unfinished = options_.path + ".rescue";
    std::error_code ignored;
    const bool was_rescuing = options_.vfs.empty() && std::filesystem::remove(unfinished, ignored);
    std::filesystem::remove(unfinished + "-wal", ignored);
    remove_copy();
    ArchiveContent found;
    try {
        if (was_rescuing && !std::filesystem::exists(options_.path, ignored))
            damage = rescue(newest_damaged(options_.path), options_.path, options_.vfs, counters_);
        if (std::exchange(is_suspect_, false))
            throw SqliteError(11, "it was found damaged while in use");
        store_ =
            std::make_unique<ArchiveStore>(options_.path, options_.vfs, counters_, options_.checkpoint_pages);
        found = store_->load();
        found.damage = damage;
        if (was_opened_ && found.state && found.state->queue_id != queue_id_)
            found = begin_beside_another();
    } catch (const SqliteError& e) {
        if (e.fault() != SqliteFault::damaged && e.fault() != SqliteFault::other)
            throw;
        replace_damaged(e.what(), &found);
    }
    if (!refused.empty())
        refused_ = found.refused = refused;
    place_ = identity_of(options_.path).value_or(PlaceIdentity{});
    had_state_ = had_state_ || found.state.has_value();
    for (const std::string& note : found.notes)
        log::warning("queue {}: {}", options_.path, note);
    if (content != nullptr)
        *content = std::move(found);
}

void Archive::replace_damaged(const std::string& why, ArchiveContent* content) {
    store_.reset();
    std::string aside;
    const bool is_damage = why != of_another_program;
    try {
        aside = put_aside(options_.path, is_damage ? Aside::damaged : Aside::other);
    } catch (const std::system_error& e) {
        throw SqliteError(14, fmt::format("it is damaged ({}), and cannot be put aside: {}", why, e.what()));
    }
    if (!is_damage) {
        refused_ = fmt::format(
            "The queue's place was taken: {}. It was put aside as {} and a new queue was begun", why, aside);
        log::error("queue {}: {}", options_.path, refused_);
        store_ =
            std::make_unique<ArchiveStore>(options_.path, options_.vfs, counters_, options_.checkpoint_pages);
        *content = store_->load();
        content->refused = refused_;
        return;
    }
    const std::string report = rescue(aside, options_.path, options_.vfs, counters_);
    log::error("queue {} is damaged ({}); kept as {}. {}", options_.path, why, aside, report);
    store_ =
        std::make_unique<ArchiveStore>(options_.path, options_.vfs, counters_, options_.checkpoint_pages);
    ArchiveContent found = store_->load();
    found.damage = report;
    *content = std::move(found);
}

void Archive::open_again() {
    ArchiveContent content;
    open(&content);
    must_settle_ = true;
    // Replaced or lost while we were running: the queue must write again what it has.
    if (!std::exchange(was_opened_, true)) {
        late_ = std::make_shared<ArchiveContent>(std::move(content));
        return;
    }
    const bool is_new = !content.state || !content.damage.empty();
    was_reset_ = was_reset_ || (had_state_ && is_new);
}

void Archive::belongs_to(std::uint64_t queue_id) {
    submit([this, queue_id] { queue_id_ = queue_id; });
}

void Archive::inspect(std::function<void(std::vector<DonorReport>)> handler) {
    submit([this, handler = std::move(handler)]() mutable {
        std::vector<DonorReport> reports;
        if (options_.vfs.empty() && !donor_)
            for (const std::string& file : files_aside(options_.path))
                reports.push_back(Donor(file, options_.path, Donor::Damaged::leave).report());
        deliver(std::move(handler), std::move(reports));
    });
}

void Archive::open_donor(std::string file, bool rescue, std::function<void(DonorReport)> handler) {
    submit([this, file = std::move(file), rescue, handler = std::move(handler)]() mutable {
        donor_ = std::make_unique<Donor>(std::move(file), options_.path,
                                         rescue ? Donor::Damaged::rescue : Donor::Damaged::offer);
        deliver(std::move(handler), donor_->report());
    });
}

void Archive::read_donor(DonorMark known, std::size_t most, std::function<void(DonorRead)> handler) {
    submit([this, known = std::move(known), most, handler = std::move(handler)]() mutable {
        DonorRead read;
        try {
            read.piece = donor_->read(known, most);
        } catch (const std::exception& e) {
            read.problem = e.what();
        }
        deliver(std::move(handler), std::move(read));
    });
}

void Archive::close_donor(bool remove) {
    submit([this, remove] {
        const std::string file = donor_ ? donor_->report().file : std::string();
        donor_.reset();
        std::error_code ignored;
        for (const char* end : {"", "-wal"})
            if (remove)
                std::filesystem::remove(file + end, ignored);
    });
}

void Archive::look(std::function<void(bool)> handler) {
    submit([this, handler = std::move(handler)]() mutable {
        deliver(std::move(handler), store_ == nullptr || !stranger());
    });
}

/// Closes the database after an error, to be opened again by the next request. Not if there was no room,
/// which leaves nothing in doubt; nor if it is removed and cannot be written anew yet: nobody could open it
/// again.
void Archive::give_up(const std::exception& error) {
    const auto* sqlite = dynamic_cast<const SqliteError*>(&error);
    const SqliteFault fault = sqlite == nullptr ? SqliteFault::refused : sqlite->fault();
    is_suspect_ = is_suspect_ || (store_ && fault == SqliteFault::damaged);
    if (fault == SqliteFault::full || (fault == SqliteFault::refused && stranger()))
        return;
    store_.reset();
}

CommitResult Archive::try_commit(const CommitRequest& request) {
    CommitResult result;
    try {
        result = attempt(request);
        if (result.ok)
            make_ballast();
    } catch (const SqliteError& e) {
        if (e.fault() == SqliteFault::full && ballast_.release())
            return commit_in_full_disk(request);
        result.problem = e.what();
        give_up(e);
    } catch (const std::exception& e) {
        result.problem = e.what();
        give_up(e);
    }
    return result;
}

CommitResult Archive::attempt(const CommitRequest& request) {
    CommitResult result;
    if (store_)
        bring_back();
    if (!store_)
        open_again();
    if (late_) {
        result.late = std::exchange(late_, nullptr);
        return result;
    }
    if (std::exchange(was_reset_, false)) {
        result.was_reset = true;
        result.replaced = std::exchange(replaced_, {});
        result.refused = std::exchange(refused_, {});
        result.problem = "the database was replaced";
        return result;
    }
    if (must_settle_)
        store_->settle_log();
    must_settle_ = false;
    result = store_->commit(request);
    result.was_gone = std::exchange(was_gone_, false);
    result.replaced = std::exchange(replaced_, {});
    result.refused = std::exchange(refused_, {});
    had_state_ = true;
    return result;
}

CommitResult Archive::commit_in_full_disk(const CommitRequest& request) {
    CommitResult result;
    try {
        if (store_ && !stranger())
            store_->settle_log();
        result = attempt(request);
        if (result.ok)
            store_->settle_log();
    } catch (const std::exception& e) {
        result.problem = e.what(); // of no interest if the commit itself went through
        give_up(e);
    }
    return result;
}

void Archive::enter_folder() {
    if (!options_.vfs.empty())
        return;
    const std::filesystem::path folder = std::filesystem::path(options_.path).parent_path();
    if (const std::string problem = trust_problem(folder.empty() ? "." : folder); !problem.empty())
        throw SqliteError(14, problem);
    if (!lock_)
        lock_ = std::make_unique<PlaceLock>(options_.path);
}

std::string Archive::clear_place() {
    if (!options_.vfs.empty())
        return {};
    std::string problem;
    for (const char* end : {"", "-wal"}) {
        const std::string file = options_.path + end;
        if (problem.empty())
            problem = place_problem(file);
        // An older version, or a command, ran as root.
        if (problem.empty() && !take_over(file))
            problem = fmt::format(
                "the file {} belongs to root and cannot be read, or there is no room to copy it", file);
    }
    if (problem.empty())
        return {};
    const std::string aside = put_aside(options_.path, Aside::other);
    std::string told = fmt::format("{}. It was put aside as {} and a new queue was begun", problem, aside);
    if (std::filesystem::is_regular_file(std::filesystem::symlink_status(aside)))
        told += fmt::format(
            ". If it is this gateway's own, `queue adopt {}` takes in what waits in it, once {} may be "
            "believed: {}",
            aside, aside, cure_of(aside));
    log::error("queue {}: {}", options_.path, told);
    return told;
}

ArchiveContent Archive::begin_beside_another() {
    store_.reset();
    const std::string aside = put_aside(options_.path, Aside::other);
    replaced_ = fmt::format("Another queue came into the queue's place; it is kept as {}", aside);
    log::error("queue {}: another queue came into its place; it is kept as {}, and taken in from there",
               options_.path, aside);
    store_ =
        std::make_unique<ArchiveStore>(options_.path, options_.vfs, counters_, options_.checkpoint_pages);
    return store_->load();
}

std::string Archive::write_anew() {
    const std::string copy = options_.path + ".copy";
    std::string aside;
    try {
        remove_copy();
        store_->copy_to(copy, options_.vfs, counters_);
        if (std::filesystem::exists(std::filesystem::symlink_status(options_.path)))
            aside = put_aside(options_.path, Aside::other);
        std::filesystem::remove(options_.path + "-wal"); // of a file that is gone
        std::filesystem::rename(copy, options_.path);
    } catch (...) {
        remove_copy();
        throw;
    }
    return aside;
}

/// What a power cut left of one.
void Archive::remove_copy() {
    std::error_code ignored;
    for (const char* end : {".copy", ".copy-journal"})
        std::filesystem::remove(options_.path + end, ignored);
}

std::optional<PlaceIdentity> Archive::stranger() const {
    std::optional<PlaceIdentity> now;
    if (options_.vfs.empty())
        now = identity_of(options_.path);
    const bool is_whole = now && now->file != FileIdentity{} && now->log != FileIdentity{};
    return now && (*now != place_ || !is_whole) ? now : std::nullopt;
}

void Archive::bring_back() {
    const std::optional<PlaceIdentity> other = stranger();
    if (!other)
        return;
    std::string aside;
    if (other->file == place_.file && other->file != FileIdentity{}) {
        store_->renew_log(); // which alone is gone
        note_log();
    } else {
        lock_.reset(); // its file may be gone too, and another gateway may have come in
        prepared(options_.path);
        enter_folder();
        aside = write_anew();
        sync_folder(options_.path);
        try {
            store_->hand_over();
        } catch (const SqliteError& e) {
            log::warning("queue {}: the file that was removed or hidden cannot be emptied: {}", options_.path,
                         e.what());
        }
        store_.reset();
    }
    was_gone_ = true;
    sync_folder(options_.path);
    log::error("queue {} was removed or replaced while in use; all it held is in a new one{}", options_.path,
               aside.empty() ? "" : ", what stood there is kept as " + aside);
}

/// The file is known since it was opened: one that is gone by now must not be taken for how it should be.
void Archive::note_log() {
    if (const std::optional<PlaceIdentity> now = identity_of(options_.path); now && now->file == place_.file)
        place_.log = now->log;
}

} // namespace things

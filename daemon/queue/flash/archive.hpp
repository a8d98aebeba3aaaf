// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "platform/heartbeat.hpp"
#include "queue/donor.hpp"
#include "queue/flash/archive_store.hpp"
#include "queue/flash/place.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

// The queue's flash tier: a thread of its own that owns the database (archive_store.hpp). Requests are
// carried out in order; handlers are called on the loop, none after the archive is gone.
//
// After any I/O error the database is closed; the next request opens it again and moves the write-ahead log
// into the database before anything else is written, because pages whose sync failed once may be called clean
// without being on flash. Nothing that failed is assumed to be there. What is damaged is put aside, its
// readable rows are carried over (queue/flash/rescue.hpp), and the queue is told to write again what it
// holds. A file that is removed or replaced while in use is still open: the next commit copies it to a new
// one, and until that worked it stays open, whatever stands in its place.
namespace things {

class Archive {
public:
    /// `path` as queue.path; `vfs` as in Connection; `ballast` see place.hpp; `checkpoint_pages` is the
    /// length of the write-ahead log.
    struct Options {
        std::string path;
        std::string vfs;
        std::int64_t ballast = 0; ///< bytes; 0: none
        int checkpoint_pages = 400;
        std::function<void()> while_opening; ///< called each second of the constructor's wait; may be empty
    };

    /// Opens the database on its thread and waits for it; `content` gets what is in it, `problem` why it is
    /// not open. Throws QueueError if it is in use or of a newer version.
    /// Blocks until it is open or has failed to. A problem is no error: the next request tries again.
    Archive(boost::asio::any_io_executor loop, Options options, ArchiveContent& content,
            std::string& problem);
    /// Ends after the request in progress; those behind it are dropped.
    /// Blocks for as long as that request takes.
    ~Archive();
    Archive(const Archive&) = delete;
    Archive& operator=(const Archive&) = delete;

    /// One transaction, all or nothing. When the disk is full the ballast is given up and it is tried once
    /// more.
    void commit(CommitRequest request, std::function<void(CommitResult)> handler);
    /// See ArchiveStore::read_blocks; none if flash could not be read.
    void read(DeviceId device, std::uint64_t from, std::uint64_t count,
              std::function<void(std::optional<std::vector<Block>>)> handler);
    /// From flash, newest first; empty device: all. Empty also if flash cannot be read.
    void audit(const std::string& device, std::size_t most,
               std::function<void(std::vector<Command>)> handler);

    /// Which queue's the database is: another one that comes into its place is put aside.
    void belongs_to(std::uint64_t queue_id);
    /// False: the database was removed or replaced while in use. Costs two looks at names.
    void look(std::function<void(bool)> handler);

    // Other queues' files: see queue/donor.hpp. One donor at a time.
    /// What was set aside beside the queue, one report each.
    void inspect(std::function<void(std::vector<DonorReport>)> handler);
    void open_donor(std::string file, bool rescue, std::function<void(DonorReport)> handler);
    struct DonorRead {
        std::optional<DonorPiece> piece; ///< none: that was all, or there is a problem
        std::string problem;
    };
    void read_donor(DonorMark known, std::size_t most, std::function<void(DonorRead)> handler);
    /// `remove`: it was set aside, and all that it held is in our own queue.
    void close_donor(bool remove);

    /// How long the thread has owed a sign of life; asks for one.
    [[nodiscard]] std::chrono::milliseconds silence(std::int64_t now_ms);

    [[nodiscard]] const DiskCounters& counters() const { return counters_; }

private:
    using Task = std::function<void()>;
    void submit(Task task);
    void run();
    /// Posts the result to the loop; dropped if the archive has gone by then.
    template <typename Handler, typename Result>
    void deliver(Handler handler, Result result);

    // Archive's thread
    /// Throws what cannot be mended here; a database that is damaged or of no known kind is put aside and
    /// rescued.
    void open(ArchiveContent* content);
    void open_again();
    void make_ballast();
    void give_up(const std::exception& error);
    [[nodiscard]] CommitResult try_commit(const CommitRequest& request);
    /// One commit, with the database opened or written anew first if need be. Throws what stopped it.
    [[nodiscard]] CommitResult attempt(const CommitRequest& request);
    /// With the ballast gone. Deletions make room only after the write-ahead log was moved, hence the order:
    /// log, commit, log.
    [[nodiscard]] CommitResult commit_in_full_disk(const CommitRequest& request);

    // Files that somebody removed or replaced while they are in use
    /// Throws SqliteError if strangers may write to the folder.
    void enter_folder();
    /// Puts aside what stands at the path and is not to be used; what root left there becomes ours. Returns
    /// what happened, for people; empty: all is well.
    [[nodiscard]] std::string clear_place();
    /// What stands at the path, if it is not what is open. None also if that cannot be told.
    [[nodiscard]] std::optional<PlaceIdentity> stranger() const;
    /// If the files were removed or replaced while we use them: writes new ones, and closes the database, so
    /// that it is opened from there. Throws SqliteError or QueueError; what stood there is moved only when
    /// the new one is complete.
    void bring_back();
    /// The file is known since it was opened: one that is gone by now must not be taken for how it should be.
    void note_log();
    /// Puts a double of the open file where it was; complete, or not at all. Returns the new name of what
    /// stood there.
    [[nodiscard]] std::string write_anew();
    void remove_copy();
    void replace_damaged(const std::string& why, ArchiveContent* content);
    /// What was opened is another queue, which came into our place while nothing was open: it is put aside.
    [[nodiscard]] ArchiveContent begin_beside_another();

    boost::asio::any_io_executor loop_;
    Options options_;
    DiskCounters counters_;
    std::shared_ptr<int> alive_ =
        std::make_shared<int>(0); ///< weak copies tell a late handler that it is over
    std::unique_ptr<PlaceLock> lock_;
    Ballast ballast_;
    std::unique_ptr<ArchiveStore> store_; ///< archive's thread only, as the next twelve
    std::unique_ptr<Donor> donor_;
    std::uint64_t queue_id_ = 0;     ///< of the queue that is ours; 0: not known yet
    std::string replaced_, refused_; ///< what no result has told of yet
    PlaceIdentity place_;            ///< the store's files; one that was gone at once is none
    bool must_settle_ = false;       ///< before anything is written, since an error closed it
    bool was_gone_ = false;          ///< a new file was written that no result has told of yet
    bool had_state_ = false;
    bool was_reset_ = false;
    bool was_opened_ = false;
    std::shared_ptr<ArchiveContent> late_; ///< waits for the next commit's result, which then owns it
    bool is_suspect_ = false;              ///< damage was met while in use

    std::mutex mutex_; ///< guards the next three
    std::condition_variable wake_;
    std::deque<Task> tasks_;
    bool stop_ = false;
    Heartbeat heartbeat_;
    std::thread thread_;
};

} // namespace things

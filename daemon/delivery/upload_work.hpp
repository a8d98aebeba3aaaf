// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "delivery/device_upload.hpp"
#include "delivery/explanation.hpp"
#include "delivery/schedule.hpp"
#include "delivery/signer.hpp"
#include "delivery/uplink.hpp"
#include "delivery/uploader.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <map>
#include <unordered_map>

// The inside of the uploader. Loop only. Its functions come in three files: upload_work.cpp decides when
// which device is served, upload_posts.cpp makes the post, upload_answers.cpp acts on the answer.
namespace things {

class UploadWork : public std::enable_shared_from_this<UploadWork> {
public:
    UploadWork(boost::asio::io_context& loop, const Clock& clock, Backlog& backlog, Https& https,
               const ThingsConfig& things, const BatchConfig& batch, UploadHooks hooks);

    /// A new device, or a changed secret or name of a known one: what waits is tried at once.
    void update(const UploadDevice& device);
    /// No more posts for it once the one in flight is answered; its readings stay with the queue.
    void remove(DeviceId device);
    /// Its readings are sent, but no post is made only to fetch a downlink.
    void retire(DeviceId device);
    /// Takes effect with the next post.
    void configure(const ThingsConfig& things, const BatchConfig& batch);
    /// The queue has something for it; cheap, may be called for every reading.
    void notify(DeviceId device);
    /// One post soon, even with nothing new to say: to fetch a downlink. Bounded per minute.
    void request_post(DeviceId device);
    /// Ends every wait of the device, also of a parked one.
    void retry_now(DeviceId device);
    /// Who is told how the next post of the device ends.
    void on_next_answer(DeviceId device, std::function<void(const PostResult&)> handler);
    void ask_time();
    [[nodiscard]] const std::string& time_problem() const { return time_problem_; }
    /// An interface came up: waits for the network end, spread over a moment.
    void on_link_up();
    /// Sends what is left, for so long at most, then calls `done` once.
    void shutdown(Milliseconds within, std::function<void()> done);
    /// Looks at who was notified, starts what is due, sets the timer for the next.
    void tick();
    /// The uploader goes: nothing more is done, handlers that come later find nobody.
    void close();
    [[nodiscard]] DeviceUploads status(DeviceId device) const;
    [[nodiscard]] Explanation explain_last(DeviceId device) const;
    [[nodiscard]] std::string find_hold(DeviceId device) const;
    [[nodiscard]] UploadTotals totals() const;

private:
    struct NextAnswer {
        DeviceId device = 0;
        std::function<void(const PostResult&)> handler;
        bool is_second = false; ///< a post was on its way already
    };

    // upload_work.cpp
    /// Null if there is none. The address of a device stays until it is removed.
    [[nodiscard]] DeviceUpload* find(DeviceId device);
    /// One tick soon, however often it is asked for before that: so a thousand readings cost one look at
    /// their device.
    void post_tick();
    /// A minute ahead at most: the clock that counts goes on during suspend, the timer does not.
    void arm_timer();
    void look_at(DeviceUpload& device);
    /// Starts posts until the limit of parallel ones is reached, nobody is ready or the breaker refuses.
    void pump();
    [[nodiscard]] bool start_next();
    void give_back(DeviceUpload& device);
    void finish_shutdown();

    // upload_posts.cpp
    void start(DeviceUpload& device, Purpose purpose);
    /// Asks the queue; its handler may be called at once or after flash was read. The device is busy from
    /// here to release().
    void take(DeviceUpload& device, Purpose purpose);
    void on_taken(DeviceId id, Purpose purpose, Batch batch);
    /// What can never be sent becomes a dead letter here, before anything is posted.
    [[nodiscard]] Batch pack_batch(DeviceUpload& device, Purpose purpose, Batch batch, Pack& pack);
    void send_slice(DeviceUpload& device, Purpose purpose, Slice slice);
    void send_repeat(DeviceUpload& device);
    /// Signs, and hands over to the upload thread; the answer comes back over the loop, unless the uploader
    /// has gone meanwhile.
    void send(DeviceUpload& device, Flight flight, std::string body);
    void on_time_answer(const Answer& answer);
    void tell_date(const Answer& answer);
    void release(DeviceUpload& device);
    void release_unsent(DeviceUpload& device);

    // upload_answers.cpp
    ///
    /// What becomes of the readings by verdict:
    ///   delivered    settled as accepted; ends parking
    ///   retry        kept, to be sent again byte-identical if they may have arrived
    ///   park         kept, and all that was under suspicion too
    ///   halve        kept, with lower limits; one alone is treated as by bisect
    ///   bisect       halved until one alone is refused; tried once more after a minute, then a dead letter
    ///   misdirected  kept; the whole uplink pauses
    void on_answer(DeviceId id, const Answer& answer);
    void on_uplink(Uplink::Change change, const DeviceUpload& device, const Answer& answer);
    [[nodiscard]] bool is_news(const Answer& answer);
    void on_delivered(DeviceUpload& device, const Flight& flight, const Answer& answer);
    void on_retry(DeviceUpload& device, Flight flight, const Answer& answer, const Verdict& verdict);
    void on_refused_device(DeviceUpload& device, const Flight& flight, const Answer& answer);
    void on_too_large(DeviceUpload& device, const Flight& flight, const Answer& answer,
                      const Verdict& verdict);
    void on_refused_content(DeviceUpload& device, const Flight& flight, const Answer& answer,
                            const Verdict& verdict);
    void park(DeviceUpload& device, const Answer& answer, bool by_content);
    void unpark(DeviceUpload& device);
    /// An alarm of the device after five minutes, or at once for a fault of this machine; again for another
    /// cause.
    void tell_failing(DeviceUpload& device, const Answer& answer, const Verdict& verdict);
    void end_failing(DeviceUpload& device, const std::string& text);
    void log_retry(DeviceUpload& device, const Answer& answer, const std::string& reason);
    /// Dead letters of one device are logged once a minute at most, with their number.
    void set_aside(DeviceUpload& device, const Slice& slice, const std::string& reason);
    void settle(const Flight& flight, Fate fate, const std::string& reason = {});
    void keep(const Slice& slice);
    /// A reading that was refused alone gets a second chance; only then it is set aside.
    void check_again_later(DeviceUpload& device, const Slice& slice, const std::string& reason);
    void log_search(DeviceUpload& device, const std::string& reason, std::size_t count);
    void log_dead(DeviceUpload& device, const std::string& reason);
    /// Calls those who wait for this answer.
    void tell_waiting(DeviceId id, const PostResult& result, bool is_uplink_failure);
    [[nodiscard]] Circumstances around(const DeviceUpload& device) const;

    boost::asio::io_context& loop_;
    const Clock& clock_;
    Backlog& backlog_;
    Https& https_;
    ThingsConfig things_;
    BatchConfig batch_;
    UploadHooks hooks_;
    std::string host_;
    Packer packer_;
    Signer signer_;
    Uplink uplink_;
    UploadSchedule schedule_;
    std::unordered_map<DeviceId, DeviceUpload> devices_;
    std::vector<DeviceId> notified_;
    UploadTotals totals_;
    Explanation uplink_last_;                         ///< the last answer that kept the uplink down
    int uplink_status_ = 0;                           ///< its status
    std::map<std::string, std::int64_t> told_causes_; ///< of this outage, and when the log was told
    boost::asio::steady_timer timer_;
    std::int64_t timer_ms_ = 0;            ///< what it is set to; 0: not set
    std::size_t in_flight_ = 0;            ///< devices that take readings or wait for an answer
    std::vector<NextAnswer> next_answers_; ///< who waits for one; usually nobody
    bool is_tick_posted_ = false;
    bool is_asking_time_ = false;
    std::int64_t ask_time_again_ms_ = 0;
    std::string time_problem_;
    bool is_down_told_ = false, is_misdirected_told_ = false; ///< alarms that are raised
    bool is_flushing_ = false;                                ///< shutdown has begun
    bool is_closed_ = false;                                  ///< nothing may start any more
    std::int64_t flush_until_ms_ = 0;
    std::function<void()> on_flushed_;
};

} // namespace things

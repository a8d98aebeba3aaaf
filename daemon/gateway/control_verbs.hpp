// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "control/server.hpp"
#include "delivery/uploader.hpp"
#include "gateway/device_names.hpp"
#include "gateway/status_view.hpp"
#include "polling/sources.hpp"
#include "queue/queue.hpp"
#include "routing/router.hpp"

#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace things {

class Clock;

/// What the verbs act on; all of it outlives them.
struct ControlParts {
    ControlServer& control;
    boost::asio::io_context& loop;
    const Clock& clock;
    const Config& config;
    const DeviceNames& devices;
    const StatusView& view;
    Queue& queue;
    Uploader& uploader;
    Router& router;
    Sources& sources;
    std::function<void(const Outcome&)> take_outcome; ///< queues and shows a reading, urgently
    std::function<void()> on_adopted;                 ///< another queue was taken in
    std::function<std::string()> clock_words;         ///< why readings wait for their time
};

/// What the command line may ask of the running daemon through the control socket. A verb that changes
/// something is added as such, so that the socket logs who asked. Loop only.
class ControlVerbs {
public:
    explicit ControlVerbs(const ControlParts& parts);
    ControlVerbs(const ControlVerbs&) = delete;
    ControlVerbs& operator=(const ControlVerbs&) = delete;

private:
    struct PostedNow;

    void add_status();
    void add_bus();
    void add_queue();
    [[nodiscard]] const DeviceConfig* find_device(const std::string& name) const;
    [[nodiscard]] bool is_configured(const std::string& source) const;
    /// `done` gets the report once every point has answered. No points: all that can be read.
    void read_points(const DeviceConfig& device, std::vector<std::string> points,
                     const std::function<void(const std::string& json)>& done);
    /// Reads the device, queues what it says, posts it, and answers with what the platform said.
    void send_now(const DeviceConfig& device, const SharedReply& reply);
    void post_now(const std::string& device, const SharedReply& reply);
    /// Until the answer comes: whether something keeps the post back, or its time is over.
    void look_for_hold(const std::shared_ptr<PostedNow>& post);

    const ControlParts parts_;
};

} // namespace things

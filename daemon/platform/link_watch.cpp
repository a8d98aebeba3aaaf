// SPDX-License-Identifier: Apache-2.0
#include "platform/link_watch.hpp"

#include "platform/log.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

namespace things {

namespace {

// An address, its routes and its name server come within this time of each other.
constexpr std::chrono::milliseconds settling_time(500);
constexpr std::size_t most_known = 4096;

/// The attributes of one type behind a message's fixed part, as text that identifies them.
std::string attributes(std::string_view rest, std::initializer_list<int> wanted) {
    std::string text;
    while (rest.size() >= sizeof(rtattr)) {
        rtattr head{};
        std::memcpy(&head, rest.data(), sizeof head);
        if (head.rta_len < sizeof head || head.rta_len > rest.size())
            break;
        for (const int type : wanted)
            if (head.rta_type == type)
                text += static_cast<char>('A' + type) +
                        std::string(rest.substr(sizeof head, head.rta_len - sizeof head));
        rest.remove_prefix(std::min<std::size_t>(RTA_ALIGN(head.rta_len), rest.size()));
    }
    return text;
}

/// What an address or default route is known by; empty for what does not reach beyond the link.
std::string key_of(int type, std::string_view body) {
    if (type == RTM_NEWADDR || type == RTM_DELADDR) {
        ifaddrmsg head{};
        if (body.size() < sizeof head)
            return {};
        std::memcpy(&head, body.data(), sizeof head);
        // Link-local addresses are there before any network is, and loopback always.
        if (head.ifa_scope >= RT_SCOPE_LINK)
            return {};
        return "address " + std::to_string(head.ifa_index) +
               attributes(body.substr(NLMSG_ALIGN(sizeof head)), {IFA_ADDRESS, IFA_LOCAL});
    }
    rtmsg head{};
    if (body.size() < sizeof head)
        return {};
    std::memcpy(&head, body.data(), sizeof head);
    // A default route has a destination of no bits. Other tables (VRF, VPN, policy routing) say nothing of
    // the way out.
    if (head.rtm_dst_len != 0 || head.rtm_type != RTN_UNICAST || head.rtm_table != RT_TABLE_MAIN)
        return {};
    return "route " + std::to_string(head.rtm_family) +
           attributes(body.substr(NLMSG_ALIGN(sizeof head)), {RTA_GATEWAY, RTA_OIF});
}

} // namespace

bool LinkState::apply(std::string_view messages) {
    bool is_new = false;
    while (messages.size() >= sizeof(nlmsghdr)) {
        nlmsghdr head{};
        std::memcpy(&head, messages.data(), sizeof head);
        if (head.nlmsg_len < sizeof head || head.nlmsg_len > messages.size())
            break;
        const int type = head.nlmsg_type;
        const std::string_view body = messages.substr(NLMSG_HDRLEN, head.nlmsg_len - NLMSG_HDRLEN);
        if (type == RTM_NEWADDR || type == RTM_DELADDR || type == RTM_NEWROUTE || type == RTM_DELROUTE) {
            const std::string key = key_of(type, body);
            if (type == RTM_DELADDR || type == RTM_DELROUTE)
                known_.erase(key);
            else if (!key.empty() && known_.size() < most_known)
                is_new = known_.insert(key).second || is_new;
        }
        messages.remove_prefix(std::min<std::size_t>(NLMSG_ALIGN(head.nlmsg_len), messages.size()));
    }
    return is_new;
}

class LinkWatch::Work : public std::enable_shared_from_this<LinkWatch::Work> {
public:
    Work(boost::asio::io_context& loop, int socket, std::function<void()> on_up)
        : socket_(loop, socket), timer_(loop), on_up_(std::move(on_up)) {}

    void read() {
        socket_.async_read_some(
            boost::asio::buffer(buffer_),
            [self = shared_from_this()](const boost::system::error_code& error, std::size_t size) {
                self->on_read(error, size);
            });
    }
    void close() {
        on_up_ = nullptr;
        timer_.cancel();
        socket_.close();
    }

private:
    void on_read(const boost::system::error_code& error, std::size_t size) {
        if (!on_up_)
            return;
        // After an overrun nobody knows what was missed: look as if something came up.
        const bool is_overrun = error == boost::system::errc::no_buffer_space;
        if (error && !is_overrun) {
            log::warning("network: its changes can no longer be followed: {}", error.message());
            return;
        }
        if ((is_overrun || state_.apply({buffer_.data(), size})) && !is_settling_) {
            is_settling_ = true;
            timer_.expires_after(settling_time);
            timer_.async_wait([self = shared_from_this()](const boost::system::error_code& cancelled) {
                self->is_settling_ = false;
                if (!cancelled && self->on_up_)
                    self->on_up_();
            });
        }
        read();
    }

    boost::asio::posix::stream_descriptor socket_;
    boost::asio::steady_timer timer_;
    std::function<void()> on_up_; ///< empty once closed
    std::array<char, 16384> buffer_{};
    LinkState state_;
    bool is_settling_ = false;
};

LinkWatch::LinkWatch(boost::asio::io_context& loop, std::function<void()> on_up) {
    const int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE;
    if (descriptor < 0 ||
        bind(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        log::info("network: its changes cannot be followed ({}); retries go by the clock",
                  std::strerror(errno));
        if (descriptor >= 0)
            close(descriptor);
        return;
    }
    work_ = std::make_shared<Work>(loop, descriptor, std::move(on_up));
    work_->read();
}

LinkWatch::~LinkWatch() {
    if (work_)
        work_->close();
}

} // namespace things

// SPDX-License-Identifier: Apache-2.0
#include "gateway/side_doors.hpp"

#include "platform/descriptor_reserve.hpp"

#include <fmt/format.h>

#include <utility>

namespace things {

namespace {

constexpr Milliseconds look_every{10'000};

} // namespace

SideDoors::SideDoors(boost::asio::io_context& loop, const Config& config,
                     std::map<std::string, WebServer::Page> pages, StageAlarms& alarms)
    : control_(loop), alarms_(alarms),
      page_host_(fmt::format("{}://{}", config.web.cert_file.empty() ? "http" : "https", config.web.address)),
      socket_(config.control_socket) {
    if (config.web.on)
        web_.emplace(loop, config.web, std::move(pages));
}

void SideDoors::look(std::int64_t boot_ms) {
    if (is_closed_ || boot_ms < due_ms_)
        return;
    due_ms_ = boot_ms + look_every.count();
    alarms_.set(
        "daemon/descriptors",
        DescriptorReserve::are_any_left() ? "" : "no file descriptors are left: connections cannot be made",
        "Raise LimitNOFILE of the service; readings that are taken stay safe meanwhile.", true);
    alarms_.set("web", web_ ? web_->listen() : std::string(),
                "Only page and metrics suffer; readings are taken and sent. It is tried again every 10 s; "
                "choose another address, port or certificate, or web: null.",
                false);
    alarms_.set("control", socket_.empty() ? std::string() : control_.listen(socket_),
                "The command line cannot reach the gateway; readings are taken and sent. It is tried again "
                "every 10 s; remove what is in the way, or choose another control.socket.",
                false);
}

void SideDoors::close() {
    is_closed_ = true;
    control_.close();
    web_.reset();
}

std::string SideDoors::page_url() const {
    return web_ && web_->port() > 0 ? fmt::format("{}:{}/", page_host_, web_->port()) : std::string();
}

} // namespace things

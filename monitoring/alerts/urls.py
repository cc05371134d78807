"""The addresses of alerts, channels and the outbox."""

from django.urls import path

from monitoring.alerts.views import acts, alerts, channels, outbox, texts

app_name = "alerts"

urlpatterns = [
    path("", alerts.alert_list, name="alerts"),
    path("<int:number>/", alerts.alert_page, name="alert"),
    path("<int:number>/acknowledge/", acts.acknowledge, name="acknowledge"),
    path("<int:number>/unacknowledge/", acts.unacknowledge, name="unacknowledge"),
    path("<int:number>/note/", acts.note, name="note"),
    path("mutes/", acts.mute_list, name="mutes"),
    path("mutes/add/", acts.mute_add, name="mute_add"),
    path("mutes/<int:number>/lift/", acts.mute_lift, name="mute_lift"),
    path("channels/", channels.channel_list, name="channels"),
    path("channels/add/", channels.add, name="channel_add"),
    path("channels/<int:number>/", channels.channel_page, name="channel"),
    path("channels/<int:number>/edit/", channels.edit, name="channel_edit"),
    path("channels/<int:number>/on/", channels.switch, {"on": True}, name="channel_on"),
    path("channels/<int:number>/off/", channels.switch, {"on": False}, name="channel_off"),
    path("channels/<int:number>/test/", channels.test, name="channel_test"),
    path("channels/<int:number>/subscribe/", channels.subscribe, name="subscribe"),
    path("subscriptions/<int:number>/remove/", channels.unsubscribe, name="unsubscribe"),
    path("outbox/", outbox.outbox, name="outbox"),
    path("outbox/dead/", outbox.dead, name="dead"),
    path("outbox/<int:number>/", outbox.message_page, name="message"),
    path("outbox/<int:number>/again/", outbox.again, name="message_again"),
    path("texts/", texts.text_list, name="texts"),
    path("texts/<slug:name>/", texts.text_page, name="text"),
]

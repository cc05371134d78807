"""The addresses of tracked tasks and their policies."""

from django.urls import path

from monitoring.abandonment.views import acts, policies, tasks

app_name = "abandonment"

urlpatterns = [
    path("", tasks.task_list, name="tasks"),
    path("tasks.csv", tasks.tasks_csv, name="tasks_csv"),
    path("<int:number>/", tasks.task_page, name="task"),
    path("<int:number>/keep/", acts.keep, name="keep"),
    path("<int:number>/keep/end/", acts.keep_no_longer, name="keep_no_longer"),
    path("<int:number>/exempt/", acts.exempt, {"on": True}, name="exempt"),
    path("<int:number>/exempt/end/", acts.exempt, {"on": False}, name="exempt_no_longer"),
    path("<int:number>/warn/", acts.warn, name="warn"),
    path("<int:number>/disable/", acts.disable, name="disable"),
    path("<int:number>/enable/", acts.enable, name="enable"),
    path("policies/", policies.policy_list, name="policies"),
    path("policies/add/", policies.add, name="policy_add"),
    path("policies/<int:number>/", policies.edit, name="policy"),
    path("policies/<int:number>/remove/", policies.remove, name="policy_remove"),
]

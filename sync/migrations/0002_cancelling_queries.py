from django.db import migrations, models

OPEN = models.Q(("state__in", ("running", "cancelling")))


class Migration(migrations.Migration):
    dependencies = [("sync", "0001_initial")]

    operations = [
        migrations.AlterModelOptions(
            name="savedquery",
            options={
                "default_permissions": (),
                "permissions": [("share_queries", "Can save queries for everybody")],
                "verbose_name_plural": "saved queries",
            },
        ),
        migrations.AlterField(
            model_name="queryrun",
            name="state",
            field=models.CharField(
                choices=[
                    ("running", "Running"),
                    ("cancelling", "Cancelling"),
                    ("done", "Done"),
                    ("cut_off", "Cut off"),
                    ("cancelled", "Cancelled"),
                    ("failed", "Failed"),
                ],
                default="running",
                max_length=10,
            ),
        ),
        migrations.RemoveIndex(model_name="queryrun", name="run_running"),
        migrations.AddIndex(
            model_name="queryrun", index=models.Index(fields=["state"], name="run_open", condition=OPEN)
        ),
    ]

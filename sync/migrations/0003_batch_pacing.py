from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("sync", "0002_cancelling_queries")]

    operations = [
        migrations.AddField(
            model_name="batch",
            name="failures_accepted",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddConstraint(
            model_name="batch",
            constraint=models.UniqueConstraint(
                condition=models.Q(("relation", "advanced")), fields=("previous",), name="batch_advances_once"
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("batch__isnull", False)),
                fields=["batch", "state", "id"],
                name="job_of_batch_state",
            ),
        ),
    ]
